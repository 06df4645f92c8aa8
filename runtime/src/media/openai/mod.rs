//! The processors that ask an OpenAI-compatible server: speech to text, and pictures to text.
//!
//! One [`Endpoint`] is one server and the key for it. [`Transcriber`] streams a recording to
//! `/audio/transcriptions`; [`Viewer`] has a picture described through `/chat/completions`. What a
//! server answers is read in one place, [`answer`], which decides whether it is worth asking again.
//!
//! **Architecture invariants:** a file is never in memory as a whole; an answer is bounded; the key
//! appears in the request and nowhere else; once a server may have done the work, it is not asked for
//! the same work again.

mod answer;
mod endpoint;
mod transcript;
mod transcription;
mod vision;

pub use self::endpoint::{Endpoint, EndpointError};
pub use self::transcription::{AnswerFormat, Transcriber, TranscriptionSettings};
pub use self::vision::{Viewer, VisionSettings};
