//! A line to a MongoDB server that a test can cut.
//!
//! Owns a TCP proxy that knows where the protocol's messages begin and end. It can lose the reply of
//! one command, so that its sender cannot know whether it was executed; hold a command back before the
//! server has seen it; delay or refuse commands that name something. The driver's own conversation about
//! the server's health passes untouched.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// The proxy; its connections end with it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    rules: Arc<Rules>,
    _accepting: AbortOnDropHandle<()>,
}

#[derive(Debug, Default)]
struct Rules {
    state: Mutex<State>,
    /// Somebody has been held back.
    held: Notify,
    /// Whoever is held back may go on.
    released: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How many commands pass before the one whose reply is lost.
    lose_reply_after: Option<usize>,
    /// What a command names that is held back.
    hold: Option<Vec<u8>>,
    /// What a command names that comes late, and by how much.
    delay: Option<(Vec<u8>, Duration)>,
    /// What a command names that is refused.
    refuse: Option<Vec<u8>>,
}

/// What becomes of a command.
enum Fate {
    Passes,
    IsDelayed(Duration),
    LosesItsReply,
    IsHeld,
    IsRefused,
}

impl Proxy {
    /// A line to a server on this machine.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn to(server_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let rules = Arc::new(Rules::default());
        let accepting = tokio::spawn(accept(listener, server_port, Arc::clone(&rules)));
        Self { address, rules, _accepting: AbortOnDropHandle::new(accepting) }
    }

    /// Where clients find a database through it.
    pub fn uri(&self, database: &str) -> String {
        format!("mongodb://{}/{database}?directConnection=true", self.address)
    }

    /// The reply of the next command but `passing` is lost, with its connection. Once.
    pub fn lose_reply_after(&self, passing: usize) {
        self.change(|state| state.lose_reply_after = Some(passing));
    }

    /// Nothing is lost any more. Says whether a reply was.
    pub fn has_lost_a_reply(&self) -> bool {
        self.change(|state| state.lose_reply_after.take()).is_none()
    }

    /// The next command that names `name` does not reach the server before [`Self::release`].
    pub fn hold(&self, name: &str) {
        self.change(|state| state.hold = Some(name.as_bytes().to_vec()));
    }

    /// Waits until a command is held back.
    pub async fn holds(&self) {
        self.rules.held.notified().await;
    }

    /// Lets the command that is held back go on.
    pub fn release(&self) {
        self.rules.released.notify_one();
    }

    /// Every command that names `name` reaches the server later by `delay`.
    pub fn delay(&self, name: &str, delay: Duration) {
        self.change(|state| state.delay = Some((name.as_bytes().to_vec(), delay)));
    }

    /// Every command that names `name` loses its connection before the server sees it; none does after
    /// `None`.
    pub fn refuse(&self, name: Option<&str>) {
        self.change(|state| state.refuse = name.map(|name| name.as_bytes().to_vec()));
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.rules.state.lock().expect("no test panics while it holds the lock"))
    }
}

impl Rules {
    fn judge(&self, command: &[u8]) -> Fate {
        let mut state = self.state.lock().expect("no test panics while it holds the lock");
        if state.refuse.as_ref().is_some_and(|name| names(command, name)) {
            return Fate::IsRefused;
        }
        if let Some((name, delay)) = &state.delay
            && names(command, name)
        {
            return Fate::IsDelayed(*delay);
        }
        // Commands of a session are the store's; the rest is the driver's own.
        if !names(command, b"lsid") || names(command, b"endSessions") {
            return Fate::Passes;
        }
        if state.hold.as_ref().is_some_and(|name| names(command, name)) {
            state.hold = None;
            return Fate::IsHeld;
        }
        match state.lose_reply_after {
            None => Fate::Passes,
            Some(0) => {
                state.lose_reply_after = None;
                Fate::LosesItsReply
            }
            Some(passing) => {
                state.lose_reply_after = Some(passing - 1);
                Fate::Passes
            }
        }
    }
}

fn names(command: &[u8], name: &[u8]) -> bool {
    command.windows(name.len()).any(|window| window == name)
}

async fn accept(listener: TcpListener, server_port: u16, rules: Arc<Rules>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let rules = Arc::clone(&rules);
        connections.spawn(async move {
            // A connection that breaks is what this is for.
            let _ = connect(client, server_port, rules).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Whether the reply of each command on its way is passed on.
type Passes = bool;

async fn connect(client: TcpStream, server_port: u16, rules: Arc<Rules>) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", server_port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let (asked, asking) = mpsc::unbounded_channel();
    tokio::select! {
        ended = commands(client_read, server_write, &rules, asked) => ended,
        ended = replies(server_read, client_write, asking) => ended,
    }
}

async fn commands(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    rules: &Rules,
    asked: mpsc::UnboundedSender<Passes>,
) -> io::Result<()> {
    loop {
        let command = message(&mut client).await?;
        let passes = match rules.judge(&command) {
            Fate::Passes => true,
            Fate::IsDelayed(delay) => {
                tokio::time::sleep(delay).await;
                true
            }
            Fate::LosesItsReply => false,
            Fate::IsHeld => {
                rules.held.notify_one();
                rules.released.notified().await;
                true
            }
            Fate::IsRefused => return Ok(()),
        };
        // The other direction has ended only together with this one.
        let _ = asked.send(passes);
        server.write_all(&command).await?;
    }
}

async fn replies(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    mut asking: mpsc::UnboundedReceiver<Passes>,
) -> io::Result<()> {
    loop {
        let reply = message(&mut server).await?;
        // A streaming answer about the server's health has more replies than questions.
        if let Ok(false) = asking.try_recv() {
            return Ok(());
        }
        client.write_all(&reply).await?;
    }
}

/// One message of the protocol: its length comes first.
async fn message(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    const BYTES_MAX: usize = 64 << 20;
    let mut length = [0; 4];
    from.read_exact(&mut length).await?;
    let bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if !(16..=BYTES_MAX).contains(&bytes) {
        return Err(io::Error::other("no message of the protocol"));
    }
    let mut message = length.to_vec();
    message.resize(bytes, 0);
    from.read_exact(&mut message[4..]).await?;
    Ok(message)
}
