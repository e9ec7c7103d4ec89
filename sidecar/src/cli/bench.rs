//! `thumbforge bench`: figures of this machine.

use clap::{Args, Subcommand};

use super::{Context, exit, pretty, print_out};
use crate::bench::{self, ChannelFigures};
use crate::build::BuildError;

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The channel between editor and sidecar, against HTTP and a bare socket
    Channel {
        /// Take a tenth of the samples
        #[arg(long)]
        quick: bool,
    },
    /// The other process of `bench channel`
    #[command(hide = true)]
    ChannelPeer,
}

/// `thumbforge bench`.
pub(super) fn bench(context: &Context, args: &BenchArgs) -> Result<u8, BuildError> {
    match args.what {
        What::Channel { quick } => {
            let figures = bench::channel(quick)?;
            if context.json {
                print_out(&pretty(&figures));
            } else {
                print_out(&table(&figures));
            }
        }
        What::ChannelPeer => bench::serve(&context.data_dir)?,
    }
    Ok(exit::DONE)
}

fn table(figures: &ChannelFigures) -> String {
    let mut lines = vec![format!("{:<28} {:>10} {:>10}", "", "p50", "p99")];
    let mut row = |name: &str, p50: f64, p99: f64, unit: &str| {
        lines.push(format!("{name:<28} {p50:>10.2} {p99:>10.2} {unit}"));
    };
    let (submit, asleep, trip) = (figures.submit_ns, figures.submit_asleep_ns, figures.round_trip_us);
    row("submit, one of a hundred", submit.p50 / 1000.0, submit.p99 / 1000.0, "µs");
    row("submit, sidecar asleep", asleep.p50 / 1000.0, asleep.p99 / 1000.0, "µs");
    row("job without picture", trip.p50, trip.p99, "µs");
    for (size, of) in [("1 MiB", 0), ("16 MiB", 1)] {
        lines.push(format!("\n{size} until its bytes can be read"));
        for contender in &figures.contenders {
            let spread = if of == 0 { contender.small_us } else { contender.large_us };
            lines.push(format!("  {:<26} {:>10.1} {:>10.1} µs", contender.name, spread.p50, spread.p99));
        }
    }
    let ratio = &figures.http_ratio;
    lines.push(format!(
        "\nHTTP takes {:.1} times as long for 1 MiB, {:.1} times for 16 MiB, {:.0} times for 16 MiB rendered in place",
        ratio.small, ratio.large, ratio.direct
    ));
    if let Some(cpu) = figures.cpu_ratio.large {
        lines.push(format!("The channel takes {cpu:.3} of HTTP's processor time for 16 MiB"));
    }
    lines.join("\n")
}
