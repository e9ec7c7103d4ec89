//! A caller's request and options as the channel's client takes them.

use std::ffi::OsString;
use std::path::PathBuf;

use thumbforge_channel::client::{Brief, Deliver, RecipeForm, Request, Start};
use thumbforge_core::error::{ErrorCode, Failure};
use thumbforge_core::job::{Gate, Lane};
use thumbforge_core::recipe::Tier;

use crate::abi::*;
use crate::pointer;
use crate::registry::{Adopt, Home};

/// Most arguments of the sidecar's program: a handful of flags, ten times over.
const ARGUMENTS_MAX: u32 = 64;

/// What to open.
pub(crate) struct Opening {
    /// Which session.
    pub(crate) home: Home,
    /// Whether to take it from somebody.
    pub(crate) adopt: Adopt,
    /// How its sidecar is started.
    pub(crate) start: Start,
}

fn invalid(message: String) -> Failure {
    Failure::new(ErrorCode::InvalidRequest, message)
}

/// Flags of which none is unknown.
fn flags(what: &str, flags: u32, known: u32) -> Result<(), Failure> {
    match flags & !known {
        0 => Ok(()),
        unknown => Err(Failure::new(
            ErrorCode::UnsupportedField,
            format!("failed to honour `{what}` {unknown:#x}: this library does not know them"),
        )),
    }
}

/// Options of a caller.
///
/// # Safety
/// `options` and what it points to can be read and do not change meanwhile.
pub(crate) unsafe fn opening(options: *const TfOptions) -> Result<Opening, Failure> {
    // The version comes before everything else: another major version has other structs.
    // SAFETY: readable, as this function requires; of any version, the first eight bytes are size and version.
    let [_, abi] = unsafe { pointer::head("options", options) }?;
    if abi >> 16 != TF_ABI_VERSION >> 16 {
        return Err(Failure::new(
            ErrorCode::AbiMismatch,
            format!(
                "failed to open a session: the caller was built for ABI {}.{}, this library has {}.{}; restart the editor after an \
                 update",
                abi >> 16,
                abi & 0xffff,
                TF_ABI_VERSION >> 16,
                TF_ABI_VERSION & 0xffff
            ),
        ));
    }
    // SAFETY: readable, as this function requires.
    let options = unsafe { pointer::input("options", options) }?;
    flags("options.flags", options.flags, TF_OPEN_TAKE_OVER)?;
    // SAFETY: what it points to is readable, as this function requires; so for the three that follow.
    let data_dir = unsafe { pointer::text("options.data_dir", options.data_dir) }?;
    // SAFETY: as above.
    let project = unsafe { pointer::text("options.project", options.project) }?;
    // SAFETY: as above.
    let program = unsafe { pointer::text("options.program", options.program) }?;
    // SAFETY: as above.
    let arguments =
        unsafe { pointer::texts("options.arguments", options.arguments, options.argument_count, ARGUMENTS_MAX) }?;
    let data_dir = PathBuf::from(data_dir);
    if !data_dir.is_absolute() {
        return Err(invalid("failed to open a session: `data_dir` must be an absolute path".to_owned()));
    }
    let start = match program {
        "" => Start::Never,
        program => Start::With { program: program.into(), args: arguments.iter().map(OsString::from).collect() },
    };
    let adopt = if options.flags & TF_OPEN_TAKE_OVER != 0 { Adopt::Any } else { Adopt::Relinquished };
    Ok(Opening { home: Home { data_dir, project: project.to_owned() }, adopt, start })
}

/// A request whose texts are the caller's own.
///
/// # Safety
/// `request` and what it points to can be read and do not change as long as the value is used.
pub(crate) unsafe fn request<'a>(request: *const TfRequest) -> Result<Request<'a>, Failure> {
    const KNOWN: u32 = TF_REQUEST_SEED
        | TF_REQUEST_STEPS
        | TF_REQUEST_GUIDANCE
        | TF_REQUEST_SAFE_INSET
        | TF_REQUEST_DEADLINE
        | TF_REQUEST_PLACEHOLDER
        | TF_REQUEST_LOSSY
        | TF_REQUEST_ENFORCE
        | TF_REQUEST_READ_BACK;
    // SAFETY: readable, as this function requires.
    let asked = unsafe { pointer::input("request", request) }?;
    flags("request.flags", asked.flags, KNOWN)?;
    if asked.reserved != 0 {
        return Err(invalid("failed to read `request`: its reserved field must be 0".to_owned()));
    }
    let is_set = |flag: u32| asked.flags & flag != 0;
    // SAFETY: what it points to is readable, as this function requires.
    let text = |what: &str, text: TfText| unsafe { pointer::text(what, text) };
    let lane = match asked.lane {
        TF_LANE_INTERACTIVE => Lane::Interactive,
        TF_LANE_BATCH => Lane::Batch,
        other => return Err(invalid(format!("failed to read `request.lane`: there is no lane {other}"))),
    };
    let deliver = match asked.deliver {
        TF_DELIVER_NOTHING => Deliver::Nothing,
        TF_DELIVER_PIXELS => Deliver::Pixels,
        TF_DELIVER_PNG => Deliver::Png,
        other => return Err(invalid(format!("failed to read `request.deliver`: there is no format {other}"))),
    };
    let tier = match asked.tier {
        TF_TIER_PRODUCTION => Tier::Production,
        TF_TIER_PREVIEW => Tier::Preview,
        other => return Err(invalid(format!("failed to read `request.tier`: there is no tier {other}"))),
    };
    let brief = Brief {
        prompt: text("request.prompt", asked.prompt)?,
        negative: text("request.negative", asked.negative)?,
        model: text("request.model", asked.model)?,
        text: text("request.words", asked.words)?,
        size: (asked.width, asked.height),
        tier,
        seed: is_set(TF_REQUEST_SEED).then_some(asked.seed),
        steps: is_set(TF_REQUEST_STEPS).then_some(asked.steps),
        guidance: is_set(TF_REQUEST_GUIDANCE).then_some(asked.guidance),
    };
    let json = text("request.recipe_json", asked.recipe_json)?;
    let recipe = if json.is_empty() {
        RecipeForm::Brief(brief)
    } else {
        let texts = [brief.prompt, brief.negative, brief.model, brief.text];
        let numbers = asked.width | asked.height | asked.tier | asked.steps;
        let settings = TF_REQUEST_SEED | TF_REQUEST_STEPS | TF_REQUEST_GUIDANCE;
        if texts.iter().any(|text| !text.is_empty()) || numbers != 0 || is_set(settings) {
            return Err(invalid(
                "failed to read `request`: `recipe_json` is a whole recipe; leave everything from `prompt` to `guidance` empty"
                    .to_owned(),
            ));
        }
        RecipeForm::Json(json.as_bytes())
    };
    Ok(Request {
        asset: text("request.asset", asked.asset)?,
        locale: text("request.locale", asked.locale)?,
        lane,
        priority: asked.priority,
        deadline_ms: is_set(TF_REQUEST_DEADLINE).then_some(asked.deadline_ms),
        placeholder: is_set(TF_REQUEST_PLACEHOLDER),
        lossy: is_set(TF_REQUEST_LOSSY),
        gate: if is_set(TF_REQUEST_ENFORCE) { Gate::Enforce } else { Gate::Report },
        read_back: is_set(TF_REQUEST_READ_BACK),
        safe_inset: is_set(TF_REQUEST_SAFE_INSET).then_some(asked.safe_inset),
        deliver,
        tag: asked.tag,
        recipe,
        // What an editor may spend is the user's to say; single pictures of its windows have no terms of their own.
        terms: b"",
    })
}
