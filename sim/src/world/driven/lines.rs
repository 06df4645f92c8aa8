//! The lines between those outside and the nodes, as the world sees them: what is to be said, and what
//! tasks have to do for it. The lines themselves are connections on the simulated network.

use std::collections::BTreeMap;

use anteroom_core::draft::Draft;
use anteroom_core::id::{BotId, CallbackKey, RequestId, SessionId};
use anteroom_core::session::event::SessionEvent;
use anteroom_core::store::{Send, StoreRequest};
use anteroom_core::time::{Millis, Timestamp};
use anteroom_runtime::store::Hint;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::World;

/// What is said over a provider's line, and when it is there at the earliest.
pub(super) type Said = (Timestamp, SessionEvent);

/// What tasks have to do.
#[derive(Default)]
pub(super) struct Lines {
    orders: Vec<Order>,
    said: BTreeMap<SessionId, mpsc::UnboundedSender<Said>>,
}

/// Something for a task to do.
pub(super) enum Order {
    /// Begin a process.
    Boot { node: usize },
    /// End a process, whatever it is doing.
    Kill { node: usize },
    /// Have a process stand still.
    Pause { node: usize },
    /// Have it go on.
    Resume { node: usize },
    /// Open a provider's line.
    Connect {
        provider: usize,
        node: usize,
        session_id: SessionId,
        said: mpsc::UnboundedReceiver<Said>,
    },
    /// Open a consumer's stream.
    Stream { bot: usize, node: usize, number: u64, end: CancellationToken },
    /// Flood a node with nonsense, and read nothing.
    Flood { node: usize, session_id: SessionId, with: SessionEvent },
    /// Ask a node for something, from outside.
    Ask { node: usize, request: Request },
    /// Ask the store for something, as an operator.
    AskStore { request: StoreRequest },
    /// Tell a node what another may have done.
    Hint { node: usize, hint: Hint },
}

/// A request to a node.
#[derive(Debug)]
pub(super) enum Request {
    /// Takes a message.
    Post { bot_id: BotId, request_id: RequestId, draft: Box<Draft> },
    /// Has a message sent.
    Enqueue { bot_id: BotId, send: Send },
    /// Acknowledges a callback.
    Acknowledge { bot_id: BotId, key: CallbackKey },
}

/// How far the frames of a connection are.
pub(super) struct Way {
    there_at: Timestamp,
    back_at: Timestamp,
}

impl Way {
    pub fn new(now: Timestamp, _incarnation: u32) -> Self {
        Self { there_at: now, back_at: now }
    }
}

impl Lines {
    /// Has a task do something.
    pub fn order(&mut self, order: Order) {
        self.orders.push(order);
    }

    /// What is to be done.
    pub fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }
}

impl World {
    /// Sends something over a provider's connection, behind what was sent before.
    pub(super) fn tell_node(&mut self, provider: usize, event: SessionEvent) {
        let wait = self.delay(provider);
        let now = self.now;
        let Some(connection) = &mut self.providers[provider].connection else { return };
        connection.way.there_at = connection.way.there_at.max(now + wait);
        let (session_id, at) = (connection.session_id, connection.way.there_at);
        if event == SessionEvent::Opened {
            let node = connection.node;
            let (sender, said) = mpsc::unbounded_channel();
            self.lines.said.insert(session_id, sender);
            return self.lines.order(Order::Connect { provider, node, session_id, said });
        }
        if let SessionEvent::Malformed { .. } = event {
            // Somebody else says the same, and worse.
            let (node, session_id) = (connection.node, self.dice.provider.uuid().into());
            self.lines.order(Order::Flood { node, session_id, with: event.clone() });
        }
        if let Some(line) = self.lines.said.get(&session_id) {
            // A line that has ended says so by itself.
            let _ = line.send((at, event));
        }
    }

    /// How much a slow line adds to the network's own delay.
    fn delay(&mut self, provider: usize) -> Millis {
        match self.weather.providers[provider].slow.as_ms() {
            0 => Millis::ZERO,
            most => Millis::from_ms(self.dice.provider.below(most)),
        }
    }

    /// When a word of a node is heard that was written at `written_at`; none on a line that has ended.
    pub(super) fn heard_at(
        &mut self,
        provider: usize,
        session_id: SessionId,
        written_at: Timestamp,
    ) -> Option<Timestamp> {
        let wait = self.delay(provider);
        let connection = self.providers[provider].connection.as_mut();
        let connection = connection.filter(|it| it.session_id == session_id)?;
        connection.way.back_at = connection.way.back_at.max(written_at + wait);
        Some(connection.way.back_at)
    }

    /// A connection ends at the provider's side; the node learns of it once that comes through.
    pub(super) fn connection_breaks(&mut self, provider: usize) {
        let Some(connection) = self.providers[provider].connection.take() else { return };
        self.lines.said.remove(&connection.session_id);
        self.connect_later(provider, 5_000);
    }

    /// A line has ended, for whatever reason.
    pub(super) fn line_ended(&mut self, provider: usize, session_id: SessionId) {
        self.lines.said.remove(&session_id);
        let connection = &mut self.providers[provider].connection;
        if connection.as_ref().is_some_and(|it| it.session_id == session_id) {
            *connection = None;
            self.connect_later(provider, 5_000);
        }
    }

    /// Hands a message in by a request.
    pub(super) fn hand_in(
        &mut self,
        node: usize,
        bot_id: BotId,
        request_id: RequestId,
        draft: Box<Draft>,
    ) {
        let request = Request::Post { bot_id, request_id, draft };
        self.lines.order(Order::Ask { node, request });
    }

    /// Asks a node for a message to be sent.
    pub(super) fn ask_node_to_send(&mut self, node: usize, bot_id: BotId, send: Send) {
        self.lines.order(Order::Ask { node, request: Request::Enqueue { bot_id, send } });
    }
}
