//! An HTTP server that answers as it is told to, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a connection gets.
#[derive(Debug, Clone)]
pub enum Answer {
    /// A status, more headers, and a body.
    Whole(u16, &'static str, String),
    /// A success that announces more than it brings.
    Half(String),
    /// Bytes that are no HTTP.
    Garbage,
    /// The request is read, and nothing is said.
    Silence,
    /// The connection is closed before the request was read.
    HangUp,
    /// The connection is closed after the request was read.
    HangUpAfter,
}

/// What came over one connection.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The request line and the headers, in small letters.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// Whether the body holds this text.
    pub fn says(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// The server; it ends with the value.
pub struct Misbehaving {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Misbehaving {
    /// A server that gives these answers, one a connection; the last one again and again.
    pub async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut answers = VecDeque::from(answers);
        let log = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((line, _)) = listener.accept().await {
                let answer = match answers.len() {
                    0 | 1 => answers.front().cloned().expect("there is an answer"),
                    _ => answers.pop_front().expect("there are several"),
                };
                tokio::spawn(serve(line, answer, Arc::clone(&log)));
            }
        });
        Self { url, asked, task }
    }

    /// The base of its addresses.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(line: TcpStream, answer: Answer, log: Arc<Mutex<Vec<Asked>>>) {
    if matches!(answer, Answer::HangUp) {
        log.lock().expect("no panic").push(Asked::default());
        return;
    }
    let mut line = BufReader::new(line);
    let Some(asked) = read(&mut line).await else { return };
    log.lock().expect("no panic").push(asked);
    let mut line = line.into_inner();
    let said = match answer {
        Answer::Whole(status, headers, body) => format!(
            "HTTP/1.1 {status} Status\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
            body.len()
        ),
        Answer::Half(body) => {
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len() + 100)
        }
        Answer::Garbage => "\0\x01\x02 this is no HTTP\r\n\r\n".to_owned(),
        Answer::Silence => return std::future::pending().await,
        Answer::HangUp | Answer::HangUpAfter => return,
    };
    // The client may be gone.
    let _ = line.write_all(said.as_bytes()).await;
    let _ = line.shutdown().await;
}

/// Reads one request whole; none when it breaks off.
async fn read(line: &mut BufReader<TcpStream>) -> Option<Asked> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if line.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
        if head[before..].trim().is_empty() {
            break;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    line.read_exact(&mut body).await.ok()?;
    Some(Asked { head, body })
}
