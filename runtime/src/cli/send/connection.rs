//! One connection of the provider that `anteroom send` plays: hello, welcome, message, receipt.

use std::time::Duration;

use anteroom_core::id::{BotId, MessageId, ProviderName};
use anteroom_core::protocol::server::{ErrorFrame, WelcomeMedia};
use anteroom_core::protocol::{
    ErrorCode, Hello, ProviderFrame, ReceiptOutcome, Rejection, ServerFrame,
};
use anteroom_core::time::Millis;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::message::Outgoing;
use super::staging::{self, NotStaged};
use crate::cli::ClientArgs;
use crate::cli::answer::CONNECT_TIME_MAX;

/// Bytes of a frame of the server that is read.
const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// How long the farewell may take.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(1);

/// What became of the message on one connection.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is durable under this id.
    Accepted(MessageId),
    /// It was durable before, under this id.
    Duplicate(MessageId),
    /// It will not be taken.
    Refused(String),
    /// The bot is connected through another provider.
    OtherProvider {
        /// Which, if the server says.
        expected: Option<String>,
        /// What the server says.
        detail: String,
    },
    /// The connection ended, or never was; the message may be durable or not.
    Lost(String),
}

/// A connection that has been welcomed.
pub(super) struct Connection<'a> {
    client: &'a ClientArgs,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    media: WelcomeMedia,
}

impl<'a> Connection<'a> {
    /// Connects, and says hello for the message's bot as `provider`.
    pub(super) async fn open(
        client: &'a ClientArgs,
        outgoing: &Outgoing,
        provider: &str,
    ) -> Result<Self, Verdict> {
        let mut socket = connect(client).await?;
        let hello = ProviderFrame::Hello(Hello {
            bot_id: BotId::from(outgoing.bot()),
            provider_name: ProviderName::from(provider),
            provider_instance: None,
            token: client.token.as_deref().map(Into::into),
        });
        say(&mut socket, &hello).await?;
        loop {
            match heard(&mut socket).await? {
                ServerFrame::Welcome(welcome) => {
                    return Ok(Self { client, socket, media: welcome.media });
                }
                // Nothing else was said yet: whatever is wrong is wrong with the hello.
                ServerFrame::Error(error) => return Err(refused_hello(error)),
                ServerFrame::Receipt(_)
                | ServerFrame::Send(_)
                | ServerFrame::Quota(_)
                | ServerFrame::Pong(_) => {}
            }
        }
    }

    /// Says goodbye, so that the server knows at once.
    pub(super) async fn end(mut self) {
        let farewell = self.socket.close(None);
        // Nothing depends on it: what is settled is settled.
        let _ = timeout(FAREWELL_TIME_MAX, farewell).await;
    }

    /// Brings the file and the message, as often as the server asks for patience.
    pub(super) async fn hand_over(
        &mut self,
        outgoing: &mut Outgoing,
        mut trouble: impl FnMut(String),
    ) -> Verdict {
        let mut seq = 0;
        loop {
            seq += 1;
            match self.hand_over_once(outgoing, seq).await {
                Ok(Patience { retry_after, why }) => {
                    trouble(why);
                    sleep(Duration::from(retry_after)).await;
                }
                Err(verdict) => return verdict,
            }
        }
    }

    async fn hand_over_once(
        &mut self,
        outgoing: &mut Outgoing,
        seq: u64,
    ) -> Result<Patience, Verdict> {
        if let Some(file) = outgoing.file()
            && !file.staged
        {
            match staging::stage(file, self.client, &self.media).await {
                Ok(()) => file.staged = true,
                Err(NotStaged::Refused(why)) => return Err(Verdict::Refused(why)),
                Err(NotStaged::Trouble(why)) => return Err(Verdict::Lost(why)),
            }
        }
        say(&mut self.socket, &outgoing.frame(seq)).await?;
        loop {
            match heard(&mut self.socket).await? {
                ServerFrame::Receipt(receipt) if receipt.seq == seq => {
                    return judge(receipt.outcome);
                }
                ServerFrame::Error(error) => return Err(broken_off(error)),
                ServerFrame::Receipt(_)
                | ServerFrame::Welcome(_)
                | ServerFrame::Send(_)
                | ServerFrame::Quota(_)
                | ServerFrame::Pong(_) => {}
            }
        }
    }
}

/// The message was not taken for now.
struct Patience {
    retry_after: Millis,
    why: String,
}

async fn connect(
    client: &ClientArgs,
) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, Verdict> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let connecting = connect_async_with_config(client.server.provider_socket(), Some(config), true);
    match timeout(CONNECT_TIME_MAX, connecting).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(tungstenite::Error::Http(response))) => Err(Verdict::Refused(format!(
            "{} is no provider's address: it answers {}",
            client.server.provider_socket(),
            response.status()
        ))),
        Ok(Err(tungstenite::Error::Io(_))) | Err(_) => {
            Err(Verdict::Lost(client.server.unreachable()))
        }
        Ok(Err(error)) => Err(lost(error)),
    }
}

async fn say(
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
    frame: &ProviderFrame,
) -> Result<(), Verdict> {
    socket.send(Message::text(frame.to_wire())).await.map_err(lost)
}

/// The next frame of the server; pings are answered on the way.
async fn heard(
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
) -> Result<ServerFrame, Verdict> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                // What this client does not know is not for it.
                if let Ok(frame) = serde_json::from_str(&text) {
                    return Ok(frame);
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(lost(error)),
            None => return Err(Verdict::Lost("the server ended the connection".to_owned())),
        }
    }
}

fn lost(error: tungstenite::Error) -> Verdict {
    Verdict::Lost(format!("the connection broke: {error}"))
}

fn refused_hello(error: ErrorFrame) -> Verdict {
    match error.code {
        ErrorCode::ProviderMismatch => {
            Verdict::OtherProvider { expected: error.expected, detail: error.detail }
        }
        ErrorCode::HelloTimeout | ErrorCode::BotLost => Verdict::Lost(error.detail),
        ErrorCode::MalformedJson
        | ErrorCode::UnknownFrameType
        | ErrorCode::MissingField
        | ErrorCode::InvalidField
        | ErrorCode::UnsupportedPayloadVersion
        | ErrorCode::FrameTooLarge
        | ErrorCode::Unauthorized
        | ErrorCode::HelloExpected
        | ErrorCode::TooManyBots
        | ErrorCode::Replaced => Verdict::Refused(told(error)),
    }
}

/// An error after the welcome that is no receipt of the message.
fn broken_off(error: ErrorFrame) -> Verdict {
    match error.code {
        ErrorCode::HelloTimeout | ErrorCode::HelloExpected | ErrorCode::BotLost => {
            Verdict::Lost(error.detail)
        }
        ErrorCode::MalformedJson
        | ErrorCode::UnknownFrameType
        | ErrorCode::MissingField
        | ErrorCode::InvalidField
        | ErrorCode::UnsupportedPayloadVersion
        | ErrorCode::FrameTooLarge
        | ErrorCode::Unauthorized
        | ErrorCode::ProviderMismatch
        | ErrorCode::TooManyBots
        | ErrorCode::Replaced => Verdict::Refused(told(error)),
    }
}

fn told(error: ErrorFrame) -> String {
    let ErrorFrame { code, field, detail, .. } = error;
    match field {
        Some(field) => format!("refused: {} in {field}: {detail}", code.as_str()),
        None => format!("refused: {}: {detail}", code.as_str()),
    }
}

fn judge(outcome: ReceiptOutcome) -> Result<Patience, Verdict> {
    let patience = |retry_after, why: &str| Ok(Patience { retry_after, why: why.to_owned() });
    match outcome {
        ReceiptOutcome::Accepted { message_id } => Err(Verdict::Accepted(message_id)),
        ReceiptOutcome::Duplicate { message_id } => Err(Verdict::Duplicate(message_id)),
        ReceiptOutcome::Evicted { retry_after, .. } => {
            patience(retry_after, "the message had to give way: the store cannot keep up")
        }
        ReceiptOutcome::Rejected(Rejection::Overflow { retry_after }) => {
            patience(retry_after, "the correspondent's queue is full")
        }
        ReceiptOutcome::Rejected(Rejection::PlaceholderLimit { retry_after }) => {
            patience(retry_after, "too many of the correspondent's media wait to become text")
        }
        ReceiptOutcome::Rejected(Rejection::BotNotRunning { retry_after }) => {
            patience(retry_after, "the bot is not running")
        }
        ReceiptOutcome::Rejected(Rejection::RetryLater { retry_after }) => {
            patience(retry_after, "the bot is starting, or the store does not answer")
        }
        ReceiptOutcome::Rejected(Rejection::Invalid { field, detail }) => {
            let field = field.map(|field| format!(" in {field}")).unwrap_or_default();
            let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            Err(Verdict::Refused(format!("rejected as invalid{field}{detail}")))
        }
    }
}
