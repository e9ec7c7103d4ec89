//! Stored tensors as the parameters that a part of a model asks for.

use std::collections::BTreeSet;

use crate::dtype::DType;
use crate::error::DiffusionError;
use crate::param::{Param, Params, Part, Tensor};
use crate::rows;
use crate::weights::file::Files;
use crate::weights::find::{Found, Kind};
use crate::weights::names::Want;
use crate::weights::refuse;

/// How many names a refusal lists.
const NAMES_MAX: usize = 3;

/// The parameters of `wants`, each a stack of stored rows. Refuses what is missing, of other sides, and names that no
/// configuration of this part has.
pub(crate) fn gather(files: &Files, found: &Found, others: &[Found], wants: &[Want]) -> Result<Params, DiffusionError> {
    let fail = |reason: String| refuse(files.path(), format!("the {}: {reason}", found.kind.word()));
    let mut params = Params::default();
    let (mut used, mut missing) = (BTreeSet::new(), Vec::new());
    for want in wants {
        let row_len: usize = want.shape.get(1..).map_or(1, |rest| rest.iter().product());
        let mut parts = Vec::new();
        for piece in want.pieces(found.layout) {
            let Some(name) = stored_name(files, &found.prefix, &piece.name) else {
                missing.push(format!("{}{}", found.prefix, piece.name));
                continue;
            };
            let Some(tensor) = files.tensor(&name)? else { continue };
            let mut expected = want.shape.clone();
            if let Some(rows) = expected.first_mut() {
                *rows = piece.all;
            }
            let (flat, flat_expected) = (squeezed(tensor.shape()), squeezed(&expected));
            let original = files.files.iter().find_map(|file| file.table.metadata.get(&original_shape(&name)));
            let reshaped = original.is_some_and(|shape| *shape == format!("{flat_expected:?}"));
            if flat != flat_expected && !(reshaped && tensor.len() == piece.all * row_len) {
                return Err(fail(format!("tensor {name:?} is {tensor:?}: expected {expected:?}")));
            }
            // Rows of blocks can be read only where they begin with a block, or where all rows lie one behind the other.
            let scale = scale(files, &name)?.unwrap_or(1.0);
            parts.push(Part { tensor, rows: piece.rows.clone(), scale });
            used.insert(name);
        }
        params
            .0
            .insert(want.name.clone(), Param { shape: want.shape.clone(), parts, adapters: Vec::new(), eights: false });
    }
    if !missing.is_empty() {
        return Err(fail(format!("it lacks {}", listed(&missing))));
    }
    let claimed = |name: &str| others.iter().any(|other| other != found && claims(other, name) && longer(other, found));
    let odd: Vec<String> = files
        .names()
        .filter(|name| claims(found, name) && !used.contains(*name) && !claimed(name))
        .filter(|name| !is_known_extra(found.kind, &name[found.prefix.len()..]))
        .map(str::to_owned)
        .collect();
    if !odd.is_empty() {
        return Err(fail(format!("it has {}, which no model of this configuration has", listed(&odd))));
    }
    Ok(params)
}

/// Under which key a GGUF file keeps the sides of a tensor that was stored with others.
pub(crate) fn original_shape(name: &str) -> String {
    format!("comfy.gguf.orig_shape.{name}")
}

fn claims(found: &Found, name: &str) -> bool {
    name.starts_with(&found.prefix)
}

fn longer(other: &Found, found: &Found) -> bool {
    other.prefix.len() >= found.prefix.len()
}

/// The name in the file, which for T5's table of tokens may be another.
fn stored_name(files: &Files, prefix: &str, name: &str) -> Option<String> {
    let full = format!("{prefix}{name}");
    if files.has(&full) {
        return Some(full);
    }
    let twin = format!("{prefix}encoder.embed_tokens.weight");
    (name == "shared.weight" && files.has(&twin)).then_some(twin)
}

/// Tensors that files carry beside the weights of a part.
fn is_known_extra(kind: Kind, name: &str) -> bool {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    // ComfyUI's marks of scaled fp8, older and newer; scales of activations are not needed, for none are in fp8 here.
    if matches!(leaf, "scale_weight" | "weight_scale" | "scale_input" | "input_scale" | "comfy_quant" | "scaled_fp8") {
        return true;
    }
    match kind {
        Kind::Clip => {
            matches!(leaf, "position_ids" | "logit_scale")
                || name.contains("text_projection")
                || name.starts_with("vision_model.")
                || name.starts_with("visual_projection.")
        }
        Kind::T5 => {
            name == "encoder.embed_tokens.weight"
                || name == "shared.weight"
                || name.starts_with("decoder.")
                || name == "lm_head.weight"
                || name.starts_with("spiece_model")
        }
        // Autoencoders of checkpoints carry what their training needed.
        Kind::Vae => name.starts_with("loss.") || name.starts_with("model_ema.") || !name.contains("coder."),
        // With nothing before the names, anything may stand beside them.
        Kind::Mmdit => !["joint_blocks.", "transformer_blocks.", "_embed", "final_layer.", "proj_out."]
            .iter()
            .any(|piece| name.contains(piece)),
    }
}

/// Sides without ones: `[c, c, 1, 1]` and `[c, c]` are the same numbers in the same order.
fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|side| *side != 1).collect()
}

/// What a tensor's numbers are multiplied with: ComfyUI keeps one number per scaled fp8 tensor beside it.
fn scale(files: &Files, name: &str) -> Result<Option<f32>, DiffusionError> {
    let Some(stem) = name.strip_suffix("weight") else { return Ok(None) };
    for beside in [format!("{stem}scale_weight"), format!("{stem}weight_scale")] {
        let Some(tensor) = files.tensor(&beside)? else { continue };
        if tensor.len() != 1 {
            return Err(refuse(files.path(), format!("tensor {beside:?} is {tensor:?}: expected one number")));
        }
        let scale = number(&tensor);
        if !scale.is_finite() {
            return Err(refuse(files.path(), format!("tensor {beside:?} is {scale}")));
        }
        return Ok(Some(scale));
    }
    Ok(None)
}

/// The one number of a tensor; 0 where there is none.
pub(crate) fn number(tensor: &Tensor) -> f32 {
    let mut one = [0.0];
    if matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::Bf16) && tensor.len() == 1 {
        rows::decode(tensor.dtype(), tensor.bytes(), 0, &mut one);
    }
    one[0]
}

/// The first few of `names`, and how many more.
pub(crate) fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| format!("{name:?}")).collect();
    let more = match names.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}
