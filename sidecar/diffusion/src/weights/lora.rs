//! LoRAs: pairs of narrow matrices whose product is added to a parameter, in the names of whoever trained them.
//!
//! | made by | key |
//! |---|---|
//! | diffusers, peft | `transformer.transformer_blocks.0.attn.to_q.lora_A.weight`, also behind `base_model.model.` |
//! | kohya | `lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight`, `….alpha` |
//! | original names | `diffusion_model.joint_blocks.0.x_block.attn.qkv.lora_A.weight` |
//!
//! Every module of either layout maps to rows of parameters, by the same table that parameters are gathered with.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::config::{ClipConfig, MmditConfig, T5Config};
use crate::error::DiffusionError;
use crate::param::{LowRank, Params, Tensor};
use crate::weights::file::Stored;
use crate::weights::gather::{listed, number};
use crate::weights::names::{self, Layout, Want};
use crate::weights::{Component, refuse};

/// The parts of a model that a LoRA may change.
pub(crate) struct Parts<'a> {
    pub(crate) mmdit: &'a mut Component<MmditConfig>,
    pub(crate) clip_l: Option<&'a mut Component<ClipConfig>>,
    pub(crate) clip_g: Option<&'a mut Component<ClipConfig>>,
    pub(crate) t5: Option<&'a mut Component<T5Config>>,
}

/// A part, for tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Place {
    Mmdit,
    ClipL,
    ClipG,
    T5,
}

impl Place {
    fn word(self) -> &'static str {
        match self {
            Self::Mmdit => "transformer",
            Self::ClipL => "clip_l",
            Self::ClipG => "clip_g",
            Self::T5 => "t5",
        }
    }
}

/// What stands before a module's name, and which part it means. Longer ones first.
const PREFIXES: [(&str, Place); 16] = [
    ("text_encoders.clip_l.transformer.", Place::ClipL),
    ("text_encoders.clip_g.transformer.", Place::ClipG),
    ("text_encoders.t5xxl.transformer.", Place::T5),
    ("model.diffusion_model.", Place::Mmdit),
    ("diffusion_model.", Place::Mmdit),
    ("transformer.", Place::Mmdit),
    ("text_encoder_2.", Place::ClipG),
    ("text_encoder_3.", Place::T5),
    ("text_encoder.", Place::ClipL),
    ("lora_transformer_", Place::Mmdit),
    ("lora_unet_", Place::Mmdit),
    ("lora_te1_", Place::ClipL),
    ("lora_te2_", Place::ClipG),
    ("lora_te3_", Place::T5),
    ("lora_te_", Place::ClipL),
    ("unet.", Place::Mmdit),
];

/// Endings of a module's name and what they mean.
const ENDINGS: [(&str, Role); 13] = [
    (".lora_A.weight", Role::Down),
    (".lora_B.weight", Role::Up),
    (".lora_A.default.weight", Role::Down),
    (".lora_B.default.weight", Role::Up),
    (".lora_down.weight", Role::Down),
    (".lora_up.weight", Role::Up),
    (".lora.down.weight", Role::Down),
    (".lora.up.weight", Role::Up),
    (".lora_linear_layer.down.weight", Role::Down),
    (".lora_linear_layer.up.weight", Role::Up),
    ("_lora.down.weight", Role::Down),
    ("_lora.up.weight", Role::Up),
    (".alpha", Role::Alpha),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Down,
    Up,
    Alpha,
}

/// What a module has in the file, each with its name there.
#[derive(Default)]
struct Module {
    down: Option<String>,
    up: Option<String>,
    alpha: Option<String>,
}

/// Rows that a module stands for.
#[derive(Debug, Clone, PartialEq)]
struct Target {
    param: String,
    /// Rows of the module as its layout stores it.
    all: usize,
    from: Range<usize>,
    /// Where they are in the parameter.
    rows: Range<usize>,
}

/// Modules of a part by their names in either layout, and those names with `_` for every `.`.
fn modules(wants: &[Want]) -> HashMap<String, Vec<Target>> {
    let mut table: HashMap<String, Vec<Target>> = HashMap::new();
    for want in wants {
        if want.shape.len() < 2 {
            continue;
        }
        for layout in [Layout::Original, Layout::Diffusers] {
            let mut first = 0;
            for piece in want.pieces(layout) {
                let rows = first..first + piece.rows.len();
                first = rows.end;
                let Some(module) = piece.name.strip_suffix(".weight") else { continue };
                let target = Target { param: want.name.clone(), all: piece.all, from: piece.rows, rows };
                for name in [module.to_owned(), module.replace('.', "_")] {
                    let targets = table.entry(name).or_default();
                    // Where both layouts have the same name and order there is one target.
                    if !targets.contains(&target) {
                        targets.push(target.clone());
                    }
                }
            }
        }
    }
    table
}

/// Adds the LoRA at `path` to `parts`; how many matrices it changes.
pub(crate) fn add(path: &Path, weight: f32, parts: &mut Parts<'_>) -> Result<(Arc<Stored>, usize), DiffusionError> {
    let stored = Arc::new(Stored::open(path)?);
    let targets = merge(&stored, weight, parts)?;
    Ok((stored, targets))
}

/// Adds the matrices of an opened file.
pub(crate) fn merge(stored: &Stored, weight: f32, parts: &mut Parts<'_>) -> Result<usize, DiffusionError> {
    let path = &stored.path;
    if !weight.is_finite() {
        return Err(refuse(path, format!("its weight is {weight}: expected a number")));
    }
    let mut found: BTreeMap<String, Module> = BTreeMap::new();
    let mut odd = Vec::new();
    for name in stored.table.entries.keys() {
        let ending = ENDINGS.iter().find_map(|(ending, role)| Some((name.strip_suffix(ending)?, *role)));
        let Some((module, role)) = ending else {
            odd.push(name.clone());
            continue;
        };
        let module = found.entry(module.replace(".processor.", ".")).or_default();
        let slot = match role {
            Role::Down => &mut module.down,
            Role::Up => &mut module.up,
            Role::Alpha => &mut module.alpha,
        };
        if let Some(twin) = slot.replace(name.clone()) {
            return Err(refuse(path, format!("{twin:?} and {name:?} are the same matrix in two names")));
        }
    }
    if found.values().all(|module| module.down.is_none() || module.up.is_none()) {
        return Err(refuse(
            path,
            format!("it is no LoRA: no pair of matrices is in it, it begins with {}", listed(&odd)),
        ));
    }
    if !odd.is_empty() {
        let what = ["dora", "magnitude", "hada", "lokr", "lora_mid", "diff", "glora", "oft"];
        let reason = match odd.iter().any(|name| what.iter().any(|piece| name.contains(piece))) {
            true => "it is of a kind that is not supported (DoRA, LoHa, LoKr and others change weights in another way)",
            false => "it has tensors that no LoRA has",
        };
        return Err(refuse(path, format!("{reason}: {}", listed(&odd))));
    }
    let tables = BTreeMap::from([
        (Place::Mmdit, Some(modules(&names::mmdit(&parts.mmdit.config)))),
        (Place::ClipL, parts.clip_l.as_ref().map(|part| modules(&names::clip(&part.config, true)))),
        (Place::ClipG, parts.clip_g.as_ref().map(|part| modules(&names::clip(&part.config, true)))),
        (Place::T5, parts.t5.as_ref().map(|part| modules(&names::t5(&part.config)))),
    ]);
    let said = Said::of(stored);
    let (mut unmatched, mut absent, mut count) = (Vec::new(), Vec::new(), 0);
    for (name, module) in &found {
        let (place, inner) = place(name);
        let Some(Some(table)) = tables.get(&place) else {
            absent.push(place.word());
            continue;
        };
        let Some(targets) = table.get(inner) else {
            unmatched.push(name.clone());
            continue;
        };
        let params = match place {
            Place::Mmdit => Some(&mut parts.mmdit.params),
            Place::ClipL => parts.clip_l.as_mut().map(|part| &mut part.params),
            Place::ClipG => parts.clip_g.as_mut().map(|part| &mut part.params),
            Place::T5 => parts.t5.as_mut().map(|part| &mut part.params),
        };
        if let Some(params) = params {
            adapt(stored, name, module, targets, params, (place, weight, &said))?;
            count += targets.len();
        }
    }
    if let Some(word) = absent.first() {
        return Err(refuse(path, format!("it changes the encoder {word}, which this model was opened without")));
    }
    match unmatched.is_empty() {
        true => Ok(count),
        false => Err(refuse(
            path,
            format!(
                "{} of its {} modules are not in this model: {}; it was made for another one",
                unmatched.len(),
                found.len(),
                listed(&unmatched)
            ),
        )),
    }
}

/// The part that a module's name means, and the name inside it.
fn place(name: &str) -> (Place, &str) {
    let name = name.strip_prefix("base_model.model.").unwrap_or(name);
    let known = PREFIXES.iter().find_map(|(prefix, place)| Some((*place, name.strip_prefix(prefix)?)));
    // Without any of these it is the transformer's, as ai-toolkit and others write it.
    known.unwrap_or((Place::Mmdit, name))
}

/// Adds a module's product to the rows that it stands for.
fn adapt(
    stored: &Stored,
    name: &str,
    module: &Module,
    targets: &[Target],
    params: &mut Params,
    (place, weight, said): (Place, f32, &Said),
) -> Result<(), DiffusionError> {
    let fail = |reason: String| refuse(&stored.path, format!("module {name:?}: {reason}"));
    let (Some(down_name), Some(up_name)) = (&module.down, &module.up) else {
        return Err(fail("one of its two matrices is missing".into()));
    };
    let (Some(down), Some(up)) = (stored.tensor(down_name)?, stored.tensor(up_name)?) else {
        return Err(fail("one of its two matrices cannot be read".into()));
    };
    let rank = down.rows();
    if rank == 0 || up.len() != up.rows() * rank {
        return Err(fail(format!("{down:?} and {up:?} have no common rank")));
    }
    let alpha = match &module.alpha {
        Some(alpha) => match stored.tensor(alpha)? {
            Some(alpha) if alpha.len() == 1 => Some(number(&alpha)),
            _ => return Err(fail("its alpha is not one number".into())),
        },
        None => said.alpha(place),
    };
    let alpha = alpha.unwrap_or(rank as f32);
    let scale = weight * alpha / if said.square_root(place) { (rank as f32).sqrt() } else { rank as f32 };
    if !scale.is_finite() {
        return Err(fail(format!("its alpha is {alpha}")));
    }
    for target in targets {
        let Some(param) = params.0.get_mut(&target.param) else {
            return Err(fail(format!("this model has no {}", target.param)));
        };
        let row_len = param.row_len();
        let rows: Option<Tensor> = up.slice(target.from.clone()).filter(|_| up.rows() == target.all);
        let Some(rows) = rows.filter(|_| down.len() == rank * row_len) else {
            return Err(fail(format!(
                "{down:?} and {up:?} do not fit {} of {} rows of {row_len}; it was made for another model",
                target.param, target.all
            )));
        };
        param.adapters.push(LowRank { down: down.clone(), up: rows, scale, rows: target.rows.clone() });
    }
    Ok(())
}

/// What diffusers writes beside the matrices: alpha, and whether it is divided by the rank or by its root.
struct Said(serde_json::Value);

impl Said {
    fn of(stored: &Stored) -> Self {
        let text = stored.table.metadata.get("lora_adapter_metadata");
        // What is no JSON says nothing.
        Self(text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
    }

    fn get(&self, place: Place, key: &str) -> Option<&serde_json::Value> {
        let part = match place {
            Place::Mmdit => "transformer",
            Place::ClipL => "text_encoder",
            Place::ClipG => "text_encoder_2",
            Place::T5 => "text_encoder_3",
        };
        self.0.get(format!("{part}.{key}"))
    }

    fn alpha(&self, place: Place) -> Option<f32> {
        self.get(place, "lora_alpha").and_then(serde_json::Value::as_f64).map(|alpha| alpha as f32)
    }

    fn square_root(&self, place: Place) -> bool {
        self.get(place, "use_rslora").and_then(serde_json::Value::as_bool).unwrap_or(false)
    }
}
