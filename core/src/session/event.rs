//! What comes over a provider connection, and what goes back.

use serde::{Deserialize, Serialize};

use crate::id::{BotId, ProviderName};
use crate::protocol::{FrameError, ProviderFrame};
use crate::receipt::Receipt;
use crate::store::Send;
use crate::time::Timestamp;

/// Something that happened at a provider connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEvent {
    /// It was opened.
    Opened,
    /// A frame came.
    Frame {
        /// The frame.
        frame: ProviderFrame,
        /// Whether its token (of a `hello`) opens the bot, or may create it.
        authorized: bool,
    },
    /// A frame came that is none.
    Malformed {
        /// What is wrong with it.
        error: FrameError,
    },
    /// Something else was heard: the peer is there.
    Heard,
    /// It was closed by the peer, or broke.
    Closed,
}

/// Something for the driver to do at a provider connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEffect {
    /// Say `welcome`.
    Welcome {
        /// For which bot.
        bot_id: BotId,
        /// How many messages may be without a receipt.
        window: u32,
        /// All messages up to this number have their final receipt.
        resume_after_seq: Option<u64>,
    },
    /// Say what became of a message.
    Receipt {
        /// Whose; said only where the connection carries several bots.
        bot_id: Option<BotId>,
        /// The provider's number of the message.
        seq: u64,
        /// What became of it.
        receipt: Receipt,
        /// What is wrong with it, when it is invalid.
        error: Option<Box<FrameError>>,
        /// Not to be written at or after this moment: the connection is closed instead, and counts as
        /// closed by the peer.
        valid_until: Timestamp,
    },
    /// Have a message sent.
    Send {
        /// For which bot; said only where the connection carries several bots.
        bot_id: Option<BotId>,
        /// The message.
        send: Send,
        /// Not to be written at or after this moment, as a receipt.
        valid_until: Timestamp,
    },
    /// Say what is wrong.
    Error {
        /// What.
        error: Box<FrameError>,
        /// Which provider the bot has, when that is what is wrong.
        expected: Option<ProviderName>,
    },
    /// Answer a `ping` frame.
    Pong,
    /// Ping the peer.
    Ping,
    /// Close the connection after what was said before.
    Close,
}
