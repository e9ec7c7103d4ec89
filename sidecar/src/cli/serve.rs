//! `thumbforge serve`: the sidecar as a process, until it is told to stop or nobody has needed it for a while.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use thumbforge_core::error::{ErrorCode, Failure};
use tokio_util::sync::CancellationToken;

use super::{Context, exit, interruption, runtime};
use crate::app::App;
use crate::build::BuildError;
use crate::config::Config;
use crate::intake::Intake;
use crate::intake::http::{self, Activity, Serving};

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
}

/// `thumbforge serve`.
pub(super) fn serve(context: &Context, args: &ServeArgs) -> Result<u8, BuildError> {
    let port = args.port.or(context.user.port).unwrap_or(PORT_DEFAULT);
    let token_file = args.token_file.as_ref().or(context.user.token_file.as_ref());
    let serving = Serving {
        listen: SocketAddr::new(args.listen, port),
        token: token_file.map(|path| read_token(path)).transpose()?,
        allowed_hosts: args.allow_host.clone(),
        placeholder: args.placeholder,
    };
    let idle_exit = args.idle_exit.map(|seconds| Duration::from_secs(seconds.max(1)));
    runtime()?.block_on(run(context, serving, idle_exit))?;
    Ok(exit::DONE)
}

async fn run(context: &Context, serving: Serving, idle_exit: Option<Duration>) -> Result<(), Failure> {
    // The port comes first: a second sidecar is told so before it waits for a lock or looks at a journal.
    let bound = http::bind(serving.listen).await?;
    let app = App::start(Config::new(&context.data_dir, &context.user)).await.map_err(|err| err.failure())?;
    let stop = interruption();
    if let Some(idle) = idle_exit {
        tokio::spawn(stop_when_idle(idle, bound.activity(), app.intake().clone(), stop.clone()));
    }
    if !context.quiet {
        let address = bound.local_addr().unwrap_or(serving.listen);
        eprintln!("listening on http://{address}");
        if app.recovered > 0 {
            eprintln!("taking up {} jobs that were open when the last sidecar ended", app.recovered);
        }
    }
    let stopped = stop.clone();
    let served = http::serve(bound, app.intake().clone(), serving, async move { stopped.cancelled().await }).await;
    app.drain().await;
    if !context.quiet {
        eprintln!("stopped; what was still queued goes on at the next start");
    }
    served
}

/// Raises `stop` once no request and no job has been open for `idle`.
async fn stop_when_idle(idle: Duration, activity: Activity, intake: Intake, stop: CancellationToken) {
    let mut last_job = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(IDLE_LOOK).await;
        if intake.metrics().open() > 0 {
            last_job = tokio::time::Instant::now();
        }
        if last_job.elapsed() >= idle && activity.idle().is_some_and(|since| since >= idle) {
            tracing::info!("idle for {idle:?}");
            stop.cancel();
            return;
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
