//! Receipts: what became of a provider's message.
//!
//! Every message frame gets exactly one, on the connection it came by. A provider keeps a message
//! until its receipt settles it, and sends all it keeps again after a reconnect.

use serde::{Deserialize, Serialize};

use crate::id::{BotId, MessageId};
use crate::time::Millis;

/// The answer to one message frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Receipt {
    /// Which bot; none while the connection has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<BotId>,
    /// The number of the frame that is answered.
    pub seq: u64,
    /// What became of its message.
    #[serde(flatten)]
    pub outcome: ReceiptOutcome,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ReceiptOutcome {
    /// It is durable.
    Accepted {
        /// The id it has.
        message_id: MessageId,
    },
    /// It was durable before.
    Duplicate {
        /// The id it has.
        message_id: MessageId,
    },
    /// It was not taken in.
    Rejected(Rejection),
    /// It was taken in and had to give way before the store could take it.
    Evicted {
        /// Which limit it gave way to.
        reason: EvictionReason,
        /// When to send it again, at the earliest.
        #[serde(rename = "retry_after_ms")]
        retry_after: Millis,
    },
}

/// Why a message was not taken in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Rejection {
    /// The correspondent's queue is full.
    Overflow {
        /// When to send it again, at the earliest.
        #[serde(rename = "retry_after_ms")]
        retry_after: Millis,
    },
    /// The correspondent has as many open placeholders as it may.
    PlaceholderLimit {
        /// When to send it again, at the earliest.
        #[serde(rename = "retry_after_ms")]
        retry_after: Millis,
    },
    /// The bot is stopped, or stopping.
    BotNotRunning {
        /// When to send it again, at the earliest.
        #[serde(rename = "retry_after_ms")]
        retry_after: Millis,
    },
    /// The bot is starting, or the store cannot be reached.
    RetryLater {
        /// When to send it again, at the earliest.
        #[serde(rename = "retry_after_ms")]
        retry_after: Millis,
    },
    /// The frame makes no sense, and will not however often it is sent.
    Invalid {
        /// Where, as a path such as `media.media_id`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        field: Option<String>,
        /// What is wrong, for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
}

/// Which limit a message gave way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum EvictionReason {
    /// It was older than `max_age`.
    Age,
    /// The queue had more than `max_characters`.
    Characters,
    /// The queue had more than `max_messages`.
    Count,
}

impl ReceiptOutcome {
    /// When the provider may send the message again; none when it has no reason to.
    pub fn retry_after(&self) -> Option<Millis> {
        match self {
            Self::Accepted { .. } | Self::Duplicate { .. } => None,
            Self::Rejected(rejection) => rejection.retry_after(),
            Self::Evicted { retry_after, .. } => Some(*retry_after),
        }
    }

    /// Whether the provider is done with the message and forgets it.
    pub fn settles(&self) -> bool {
        self.retry_after().is_none()
    }
}

impl Rejection {
    /// When the provider may send the message again; none when it has no reason to.
    pub fn retry_after(&self) -> Option<Millis> {
        match self {
            Self::Overflow { retry_after }
            | Self::PlaceholderLimit { retry_after }
            | Self::BotNotRunning { retry_after }
            | Self::RetryLater { retry_after } => Some(*retry_after),
            Self::Invalid { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(outcome: ReceiptOutcome, expected: Value) {
        let receipt = Receipt { bot_id: None, seq: 41, outcome };
        assert_eq!(serde_json::to_value(&receipt).expect("JSON"), expected);
        assert_eq!(serde_json::from_value::<Receipt>(expected).expect("a receipt"), receipt);
    }

    /// Goal: every outcome has the wire form of the design, and reads back as itself.
    #[test]
    fn every_outcome_has_its_wire_form() {
        let retry_after = Millis::from_secs(2);
        let message_id = MessageId::FIRST;
        check(
            ReceiptOutcome::Accepted { message_id },
            json!({"seq": 41, "outcome": "accepted", "message_id": 1}),
        );
        check(
            ReceiptOutcome::Duplicate { message_id },
            json!({"seq": 41, "outcome": "duplicate", "message_id": 1}),
        );
        for (rejection, reason) in [
            (Rejection::Overflow { retry_after }, "overflow"),
            (Rejection::PlaceholderLimit { retry_after }, "placeholder_limit"),
            (Rejection::BotNotRunning { retry_after }, "bot_not_running"),
            (Rejection::RetryLater { retry_after }, "retry_later"),
        ] {
            check(
                ReceiptOutcome::Rejected(rejection),
                json!({"seq": 41, "outcome": "rejected", "reason": reason, "retry_after_ms": 2000}),
            );
        }
        check(
            ReceiptOutcome::Rejected(Rejection::Invalid {
                field: Some("media.kind".to_owned()),
                detail: Some("no kind".to_owned()),
            }),
            json!({"seq": 41, "outcome": "rejected", "reason": "invalid", "field": "media.kind",
                "detail": "no kind"}),
        );
        for (reason, name) in [
            (EvictionReason::Age, "age"),
            (EvictionReason::Characters, "characters"),
            (EvictionReason::Count, "count"),
        ] {
            check(
                ReceiptOutcome::Evicted { reason, retry_after },
                json!({"seq": 41, "outcome": "evicted", "reason": name, "retry_after_ms": 2000}),
            );
        }
    }

    /// Goal: a provider forgets a message exactly when sending it again would be of no use.
    #[test]
    fn only_durable_and_invalid_messages_are_settled() {
        let retry_after = Millis::from_secs(2);
        let settled = [
            ReceiptOutcome::Accepted { message_id: MessageId::FIRST },
            ReceiptOutcome::Duplicate { message_id: MessageId::FIRST },
            ReceiptOutcome::Rejected(Rejection::Invalid { field: None, detail: None }),
        ];
        let kept = [
            ReceiptOutcome::Rejected(Rejection::Overflow { retry_after }),
            ReceiptOutcome::Rejected(Rejection::BotNotRunning { retry_after }),
            ReceiptOutcome::Evicted { reason: EvictionReason::Age, retry_after },
        ];
        assert!(settled.iter().all(ReceiptOutcome::settles));
        assert!(!kept.iter().any(ReceiptOutcome::settles));
    }

    /// Goal: a rejection that is to be retried says when, or it is no receipt.
    #[test]
    fn a_rejection_without_its_wait_is_refused() {
        let text = r#"{"seq":1,"outcome":"rejected","reason":"overflow"}"#;
        assert!(serde_json::from_str::<Receipt>(text).is_err());
    }
}
