//! Every bound of the protocol, in one place.
//!
//! What identifies something is refused over its bound, because a cut id is another id. What only
//! people read is cut. Characters are Unicode scalar values.

/// Bytes of one provider frame.
pub const FRAME_BYTES_MAX: usize = 256 * 1024;

/// Bytes of an id: of a bot, a correspondent, a participant, a provider's name, instance or message.
pub const ID_BYTES_MAX: usize = 512;

/// Bytes of a callback id: two percent-encoded ids (at most three bytes for one), two numbers and
/// the separators, rounded up.
pub const CALLBACK_ID_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a send id, which may be a callback id.
pub const SEND_ID_BYTES_MAX: usize = CALLBACK_ID_BYTES_MAX;

/// Bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 4 * 1024;

/// Characters of a display name; the rest is cut.
pub const DISPLAY_NAME_CHARACTERS_MAX: u64 = 256;

/// Other ids of one participant.
pub const ALTERNATE_IDENTIFIERS_MAX: usize = 32;

/// Characters of an original file name; the rest is cut.
pub const FILENAME_CHARACTERS_MAX: u64 = 255;

/// Bytes of a MIME type, parameters included.
pub const MIME_TYPE_BYTES_MAX: usize = 255;

/// Characters of a media's detail; the rest is cut.
pub const DETAIL_CHARACTERS_MAX: u64 = 500;

/// Characters of a status's detail; the rest is cut. It has room for a login code as a data URL.
pub const STATUS_DETAIL_CHARACTERS_MAX: u64 = 32 * 1024;

/// The latest moment a frame may name, the end of the year 9999: any store can keep it.
pub const TIME_MS_MAX: u64 = 253_402_300_799_999;

/// Callback ids in one acknowledgement.
pub const ACK_IDS_MAX: usize = 1_000;

/// Bytes of one acknowledgement's body.
pub const ACK_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a webhook's answer; a larger one acknowledges, and its reply is not sent.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Characters of a stranger's value that an error's detail shows; the rest is cut.
pub(super) const SHOWN_CHARACTERS_MAX: u64 = 40;
