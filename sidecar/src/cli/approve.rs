//! `thumbforge approve`: a decision on one picture.

use std::path::PathBuf;

use clap::Args;
use thumbforge_core::approvals::Decision;
use thumbforge_core::error::{ErrorCode, Failure};

use super::{Context, exit, pretty, print_out};
use crate::build::BuildError;
use crate::command::approve::{self, Order, ROLE_DEFAULT};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  thumbforge approve --asset sword --locale ja --role art-director
  thumbforge approve --asset sword --locale ja --reject --note \"the blade is cut off\"
  thumbforge approve --asset sword --locale ja --from Drafts/    takes the draft and its seed into the project")]
pub(super) struct ApproveArgs {
    /// Folder of the manifest, or the manifest itself [default: this folder]
    #[arg(value_name = "MANIFEST-DIR")]
    manifest: Option<PathBuf>,
    /// Name of the asset
    #[arg(long, value_name = "A")]
    asset: String,
    /// Locale of the picture, where it has one
    #[arg(long, value_name = "L", default_value = "")]
    locale: String,
    /// Reject it instead of accepting it
    #[arg(long)]
    reject: bool,
    /// Who decides [default: the user's name, from the environment]
    #[arg(long, value_name = "P")]
    person: Option<String>,
    /// As what; each role has one say on each picture
    #[arg(long, value_name = "R", default_value = ROLE_DEFAULT)]
    role: String,
    /// Why
    #[arg(long, value_name = "N", default_value = "")]
    note: String,
    /// Decide on the draft in this folder of `batch --out`; an accepted one is put into its place
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    /// Let a draft replace a file that was changed by hand or is not ours
    #[arg(long, requires = "from")]
    force: bool,
}

/// `thumbforge approve`.
pub(super) fn approve(context: &Context, args: &ApproveArgs) -> Result<u8, BuildError> {
    let person = args.person.clone().or_else(user).ok_or_else(|| {
        Failure::new(ErrorCode::InvalidRequest, "failed to say who decides: name yourself with --person")
    })?;
    let order = Order {
        manifest: args.manifest.clone().unwrap_or_else(|| PathBuf::from(".")),
        asset: args.asset.clone(),
        locale: args.locale.clone(),
        decision: if args.reject { Decision::Rejected } else { Decision::Accepted },
        person,
        role: args.role.clone(),
        note: args.note.clone(),
        from: args.from.clone(),
        pixels: None,
        force: args.force,
    };
    let decided = approve::approve(&order, &context.data_dir)?;
    if context.json {
        print_out(&pretty(&approve::answer(Ok(decided.clone()))));
    }
    if !context.quiet {
        match decided.message.as_str() {
            "" => eprintln!("{}: {} by {} ({})", decided.path, order.decision.word(), order.person, order.role),
            message => eprintln!("{}: {message}", decided.path),
        }
        if let Some(seed) = decided.seed {
            eprintln!("its seed {seed} stands in the manifest now, so that the final shows the same");
        }
    }
    Ok(exit::DONE)
}

/// As version control would call whoever sits here, or as the system does.
fn user() -> Option<String> {
    let name = |variable| std::env::var(variable).ok().filter(|name| !name.trim().is_empty());
    ["GIT_AUTHOR_NAME", "USER", "USERNAME"].into_iter().find_map(name).map(|name| name.trim().to_owned())
}
