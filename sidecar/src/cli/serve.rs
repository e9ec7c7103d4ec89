//! `thumbforge serve`: the sidecar as a process, until it is told to stop or nobody has needed it for a while.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use clap::Args;
use thumbforge_core::error::{ErrorCode, Failure};
use tokio_util::sync::CancellationToken;

use super::log::Log;
use super::{Context, exit, interruption, runtime};
use crate::app::App;
use crate::build::BuildError;
use crate::intake::http::{self, Activity, Serving};
use crate::intake::{Intake, channel};

/// The port of the case studies.
const PORT_DEFAULT: u16 = 8080;
/// How often an idle exit is considered: a tenth of the shortest time one may ask for.
const IDLE_LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge serve                          HTTP on 127.0.0.1:8080
  thumbforge serve --port 0 --idle-exit 300 any free port; ends after five idle minutes
  thumbforge serve --listen 0.0.0.0 --token-file token.txt --allow-host build.example
                                            for other machines, which must show the token")]
pub(super) struct ServeArgs {
    /// Take no port; only the channel of this machine's editors and commands is served
    #[arg(long, conflicts_with_all = ["port", "listen", "token_file", "allow_host", "placeholder"])]
    no_http: bool,
    /// Port; 0 takes any free one [default: 8080]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Address; anything but this machine needs --token-file
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// File with the bearer token that callers from elsewhere must send
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Name under which callers may reach this machine, besides localhost; repeatable
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// Let built-in art stand in for models that are not there
    #[arg(long)]
    placeholder: bool,
    /// End after this many idle seconds
    #[arg(long, value_name = "SECONDS")]
    idle_exit: Option<u64>,
    /// Write the log to a file; past 8 MiB a new one is begun and the last is kept as FILE.old
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Close what the process that starts this one has left open; for editors
    #[arg(long, hide = true)]
    detached: bool,
}

impl ServeArgs {
    /// Whether an editor starts it.
    pub(super) fn is_detached(&self) -> bool {
        self.detached
    }

    /// The log file, if one is asked for.
    pub(super) fn open_log(&self) -> Result<Option<Log>, Failure> {
        let Some(path) = &self.log else { return Ok(None) };
        let failed =
            |err| Failure::new(ErrorCode::OutputFile, format!("failed to write the log {}: {err}", path.display()));
        Log::open(path).map(Some).map_err(failed)
    }

    fn http(&self, context: &Context) -> Result<Option<Serving>, Failure> {
        if self.no_http {
            return Ok(None);
        }
        let port = self.port.or(context.user.port).unwrap_or(PORT_DEFAULT);
        let token_file = self.token_file.as_ref().or(context.user.token_file.as_ref());
        Ok(Some(Serving {
            listen: SocketAddr::new(self.listen, port),
            token: token_file.map(|path| read_token(path)).transpose()?,
            allowed_hosts: self.allow_host.clone(),
            placeholder: self.placeholder,
        }))
    }
}

/// `thumbforge serve`.
pub(super) fn serve(context: &Context, args: &ServeArgs) -> Result<u8, BuildError> {
    let http = args.http(context)?;
    let idle_exit = args.idle_exit.map(|seconds| Duration::from_secs(seconds.max(1)));
    let voice = Voice { aloud: !context.quiet, logged: args.log.is_some() };
    runtime()?.block_on(run(context, http, idle_exit, &voice)).inspect_err(|failure| voice.error(failure))?;
    Ok(exit::DONE)
}

async fn run(
    context: &Context,
    http: Option<Serving>,
    idle_exit: Option<Duration>,
    voice: &Voice,
) -> Result<(), Failure> {
    // The port comes first: a second sidecar is told so before it waits for a lock or looks at a journal.
    let http = match http {
        Some(serving) => Some((http::bind(serving.listen).await?, serving)),
        None => None,
    };
    let app = App::start(context.config()).await.map_err(|err| err.failure())?;
    let stop = interruption();
    let channel = match channel::serve(&context.data_dir, app.intake().clone(), stop.clone()) {
        Ok(channel) => Some(Arc::new(channel)),
        // A folder of a network, say, that can hold no socket: scripts are served all the same.
        Err(failure) if http.is_some() => {
            tracing::warn!("editors cannot connect: {}", failure.message);
            None
        }
        Err(failure) => return Err(failure),
    };
    if let Some(idle) = idle_exit {
        let activity = http.as_ref().map(|(bound, _)| bound.activity());
        let clients = channel.as_ref().map(Arc::downgrade);
        let clients = move || {
            let channel = clients.as_ref().and_then(Weak::upgrade);
            channel.map_or(0, |channel| channel.clients() + channel.commands())
        };
        let clients = Box::new(clients);
        let awake = Awake { intake: app.intake().clone(), activity, clients };
        tokio::spawn(awake.stop_when_idle(idle, stop.clone()));
    }
    match &http {
        Some((bound, serving)) => {
            voice.say(&format!("listening on http://{}", bound.local_addr().unwrap_or(serving.listen)));
        }
        None => voice.say("ready, without HTTP"),
    }
    if let Some(words) = app.intake().market().announcement() {
        voice.say(&words);
    }
    if app.recovered > 0 {
        voice.say(&format!("taking up {} jobs that were open when the last sidecar ended", app.recovered));
    }
    let stopped = stop.clone();
    let served = match http {
        Some((bound, serving)) => {
            http::serve(bound, app.intake().clone(), serving, async move { stopped.cancelled().await }).await
        }
        None => {
            stopped.cancelled().await;
            Ok(())
        }
    };
    let owned = app.drain().await;
    // Connections end last, so that whoever is connected hears of what ended.
    if let Some(channel) = &channel {
        channel.settle().await;
    }
    let closing = move || {
        // While the directory is still ours: whoever starts next takes the same address.
        if let Some(channel) = &channel {
            channel.stop_listening();
        }
        // Before the connections end: that is what whoever waits for the directory looks for.
        drop(owned);
        drop(channel);
    };
    // Closing joins threads.
    let _ = tokio::task::spawn_blocking(closing).await;
    voice.say("stopped; what was still queued goes on at the next start");
    served
}

/// What the sidecar says of its own life: to people on stderr, and in the log where there is one.
struct Voice {
    aloud: bool,
    logged: bool,
}

impl Voice {
    fn say(&self, words: &str) {
        if self.aloud {
            // Whoever started it may have closed the other end; that is no reason to stop.
            let _ = writeln!(std::io::stderr(), "{words}");
        }
        if self.logged {
            tracing::info!("{words}");
        }
    }

    /// People are told where every verb tells them.
    fn error(&self, failure: &Failure) {
        if self.logged {
            tracing::error!(code = %failure.code, "{}", failure.message);
        }
    }
}

/// What keeps a sidecar from ending for want of work.
struct Awake {
    intake: Intake,
    /// Answers over HTTP, where it is served.
    activity: Option<Activity>,
    /// Clients that are connected otherwise, which may ask for something at any time, and what they left running.
    clients: Box<dyn Fn() -> usize + Send>,
}

impl Awake {
    /// Raises `stop` once nobody has been served, connected or waiting for a job for `idle`.
    async fn stop_when_idle(self, idle: Duration, stop: CancellationToken) {
        let mut last = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(IDLE_LOOK).await;
            if self.intake.metrics().open() > 0 || (self.clients)() > 0 {
                last = tokio::time::Instant::now();
            }
            let quiet =
                self.activity.as_ref().is_none_or(|activity| activity.idle().is_some_and(|since| since >= idle));
            if quiet && last.elapsed() >= idle {
                tracing::info!("idle for {idle:?}");
                return stop.cancel();
            }
        }
    }
}

fn read_token(path: &std::path::Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|err| {
        Failure::new(ErrorCode::InputFile, format!("failed to read the token {}: {err}", path.display()))
    })?;
    let token = text.trim();
    if token.len() < 16 {
        let message = format!("failed to use the token {}: it needs at least 16 characters", path.display());
        return Err(Failure::new(ErrorCode::InvalidRequest, message));
    }
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::config::{Config, UserFile};

    #[tokio::test]
    async fn a_connected_client_keeps_the_sidecar_awake() {
        let folder = tempfile::tempdir().expect("a folder");
        let app = App::start(Config::new(folder.path(), &UserFile::default())).await.expect("starts");
        let (connected, looks) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicUsize::new(0)));
        let (counted, looked) = (connected.clone(), looks.clone());
        let clients = Box::new(move || {
            looked.fetch_add(1, Ordering::Relaxed);
            counted.load(Ordering::Relaxed)
        });
        // From here on time passes only while everybody waits for it.
        tokio::time::pause();
        let stop = CancellationToken::new();
        let awake = Awake { intake: app.intake().clone(), activity: None, clients };
        let mut idle = Box::pin(awake.stop_when_idle(Duration::from_secs(1), stop.clone()));
        let long = tokio::time::timeout(Duration::from_secs(60), &mut idle).await;
        assert!(long.is_err() && looks.load(Ordering::Relaxed) > 100, "a client is connected for a minute");
        connected.store(0, Ordering::Relaxed);
        idle.await;
        assert!(stop.is_cancelled());
    }
}
