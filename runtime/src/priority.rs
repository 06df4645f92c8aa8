//! Work that gives way: what operators ask for takes the processors that nothing else wants.
//!
//! Owns the priority of threads. On Linux it is each thread's own; elsewhere it would be the whole process's, so
//! it stays as it is there. **Architecture invariant:** a thread of lower priority holds no lock that the driver or the
//! store's writer waits for, for it may be let wait with it.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// What is added to the niceness of threads that give way: a third of another's share, where both want a processor.
/// With much less, operators would find nothing out on a machine that is too busy, which is when they ask.
#[cfg(target_os = "linux")]
const GIVES_WAY: i32 = 5;

/// Has the calling thread give way to all others of the process.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    {
        let own = rustix::process::getpriority_process(None).unwrap_or(0);
        if let Err(error) = rustix::process::setpriority_process(None, own + GIVES_WAY) {
            tracing::debug!(%error, "a thread keeps its priority");
        }
    }
}

/// A thread that runs futures and gives way. What still runs when this is dropped is dropped too.
#[derive(Debug)]
pub struct Aside(Option<Runtime>);

impl Aside {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn start(name: &str) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .on_thread_start(give_way)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs futures on it for as long as it lives.
    pub fn handle(&self) -> Option<&Handle> {
        self.0.as_ref().map(Runtime::handle)
    }
}

impl Drop for Aside {
    /// Waits for nothing: a future may be in the middle of what blocks.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    /// Goal: what runs aside has a lower priority than what started it, which keeps its own.
    #[tokio::test]
    async fn what_runs_aside_gives_way() {
        let own = || getpriority_process(None).expect("a thread may ask for its own");
        let before = own();
        let aside = Aside::start("aside").expect("the system gives threads");
        let handle = aside.handle().expect("it has not ended").clone();
        let there = handle.spawn(async move { own() }).await.expect("it does not panic");
        let blocking = handle.spawn_blocking(own).await.expect("it does not panic");
        assert_eq!(there, (before + GIVES_WAY).min(19));
        assert_eq!(blocking, there);
        assert_eq!(own(), before);
    }
}
