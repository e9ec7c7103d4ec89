//! A plain prompt file: one prompt per line, one picture per prompt.

use std::sync::Arc;

use crate::error::ErrorCode;
use crate::job::AssetRef;
use crate::limits;
use crate::manifest::body::Body;
use crate::manifest::choosing::{Judged, Known, Noticed, judge};
use crate::manifest::error::{Gathered, ManifestError, ManifestErrors};
use crate::manifest::tiers::{TierFile, overlaid};
use crate::manifest::wanted::{Expansion, Overrides, Scope, Wanted};
use crate::manifest::{DEFAULT_SIZE, excerpt, text_of};
use crate::recipe::Recipe;
use crate::terms::Terms;

/// Prompts and the lines they stand on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptFile {
    label: String,
    /// Line number, from 1, and prompt.
    pub prompts: Vec<(usize, String)>,
}

impl PromptFile {
    /// Reads a prompt file: blank lines and lines that begin with `#` are no prompts.
    ///
    /// # Errors
    /// Not UTF-8, too large, a prompt that is too long, or no prompt at all.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Self, ManifestErrors> {
        let text = text_of(label, bytes, limits::PROMPT_FILE_BYTES_MAX)?;
        let fault = |code, line, message: String, fix: String| ManifestError {
            code,
            file: label.to_owned(),
            line,
            column: None,
            key: String::new(),
            message,
            fix,
        };
        let mut gathered = Gathered::default();
        let mut prompts = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() > limits::PROMPT_BYTES_MAX {
                let message = format!("the prompt has {} bytes", line.len());
                let fix = format!("at most {} are read", limits::PROMPT_BYTES_MAX);
                gathered.push(fault(ErrorCode::TooLarge, Some(at + 1), message, fix));
                continue;
            }
            prompts.push((at + 1, line.to_owned()));
        }
        if prompts.len() > limits::IMAGES_MAX {
            let fix = format!("split it: at most {} are planned at once", limits::IMAGES_MAX);
            gathered.push(fault(ErrorCode::TooLarge, None, "the file has too many prompts".to_owned(), fix));
        }
        let prompts = gathered.or(prompts)?;
        if prompts.is_empty() {
            let message = "the file has no prompt".to_owned();
            return Err(fault(ErrorCode::InvalidManifest, None, message, "write one prompt per line".to_owned()).into());
        }
        Ok(Self { label: label.to_owned(), prompts })
    }

    /// One image per prompt, drawn as the row of its tier says and called by its number and its first words: `0001-studio-photo-of-sword.png`.
    ///
    /// # Errors
    /// An unknown model, or what no recipe can hold.
    pub fn expand(
        &self,
        tiers: &TierFile,
        known: Known<'_>,
        overrides: &Overrides,
    ) -> Result<Expansion, ManifestErrors> {
        let catalogue = known.catalogue;
        let flag = |code, flag: &str, message: String, fix: String| {
            ManifestErrors::from(ManifestError {
                code,
                file: flag.to_owned(),
                line: None,
                column: None,
                key: String::new(),
                message,
                fix,
            })
        };
        if overrides.locales.is_some() {
            let message = "a prompt file has no locales".to_owned();
            return Err(flag(
                ErrorCode::InvalidRequest,
                "--locale",
                message,
                "leave it out, or use a manifest".to_owned(),
            ));
        }
        if overrides.assets.is_some() {
            let message = "a prompt file has no assets".to_owned();
            let fix = "leave it out, or use a manifest".to_owned();
            return Err(flag(ErrorCode::InvalidRequest, "--asset", message, fix));
        }
        let tier = overrides.tier.unwrap_or_default();
        let row = overlaid(None, tiers.tiers.row(tier));
        let settings = row.settings().overlaid(&overrides.settings);
        let (model, named_by) = match (&overrides.model, row.model) {
            (Some(model), _) => (Some(model.clone()), "--model"),
            (None, of_tier) => (of_tier, "the tier file"),
        };
        let model = match &model {
            None => None,
            Some(model) => Some(catalogue.resolve(model).map_err(|unknown| {
                let message = format!("no model {:?}", excerpt(model));
                flag(ErrorCode::UnknownModel, named_by, message, unknown.hint().to_owned())
            })?),
        };
        let mut gathered = Gathered::default();
        let mut noticed = Noticed::default();
        if let Some(row) = model {
            noticed.note(&row.id, false, Vec::new);
        }
        let error = |code, _: &[&str], message, fix: &str| ManifestError {
            code,
            file: named_by.to_owned(),
            line: None,
            column: None,
            key: String::new(),
            message,
            fix: fix.to_owned(),
        };
        let Judged { warnings, retired } = judge(&Body::default(), known, &noticed, &error, &mut gathered);
        let terms = Arc::new(Terms::default());
        let mut wanted = Vec::with_capacity(self.prompts.len());
        for (at, (line, prompt)) in self.prompts.iter().enumerate() {
            let recipe = Recipe {
                negative: overrides.negative.clone().unwrap_or_default(),
                model: model.map(|row| row.id.clone()),
                tier,
                seed: overrides.seed,
                settings: settings.clone(),
                ..Recipe::from_prompt(prompt, overrides.size.unwrap_or(DEFAULT_SIZE))
            };
            let output = output_name(at + 1, prompt);
            match recipe.normalised() {
                Ok(recipe) => wanted.push(Wanted {
                    asset: AssetRef { name: output.trim_end_matches(".png").to_owned(), locale: String::new() },
                    output,
                    profile: None,
                    planned: recipe.planned_key(),
                    recipe,
                    priority: 0,
                    terms: terms.clone(),
                }),
                Err(err) => gathered.push(ManifestError {
                    code: ErrorCode::InvalidRequest,
                    file: self.label.clone(),
                    line: Some(*line),
                    column: None,
                    key: String::new(),
                    message: err.to_string(),
                    fix: String::new(),
                }),
            }
        }
        wanted.sort_by(|a, b| a.output.cmp(&b.output));
        gathered.or(Expansion {
            wanted,
            skipped: Vec::new(),
            scope: Scope::Whole,
            placeholder: overrides.placeholder.unwrap_or(false),
            tiers: tiers.tiers.clone(),
            verify_ocr: tiers.verify_ocr,
            warnings,
            retired,
            batch_budget: None,
        })
    }
}

/// Number and first words in letters that every file system takes.
fn output_name(number: usize, prompt: &str) -> String {
    let mut slug = String::new();
    for word in prompt.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if slug.len() + word.len() >= SLUG_BYTES_MAX {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(&word.to_ascii_lowercase());
    }
    if slug.is_empty() { format!("{number:04}.png") } else { format!("{number:04}-{slug}.png") }
}

/// Longest slug: enough to tell prompts apart in a file browser.
const SLUG_BYTES_MAX: usize = 48;
