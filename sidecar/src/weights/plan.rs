//! What a pull will get: items of the data file by name, or chosen files of any repository, each as the hub has them now.

use std::collections::{BTreeMap, BTreeSet};

use thumbforge_core::error::{ErrorCode, Failure};

use super::hub::{Hub, Listed, Listing};
use super::names;
use super::offer::{self, Licence, Offer, Offers, Part};
use super::store::{FILES_MAX, Registry, Standing, Store};

/// Which text encoder T5 comes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum T5 {
    /// As it was made: what a production picture wants.
    #[default]
    Fp16,
    /// Half the size; draws other pixels.
    Fp8,
    /// None: prompts are read by the two CLIPs alone.
    None,
}

/// What somebody asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// A name of the data file, or a repository with or without a revision.
    pub what: String,
    /// Files of a repository; chosen by what is usual without.
    pub files: Vec<String>,
    /// Which T5 comes along.
    pub t5: T5,
    /// Whether text encoders and tokenizers stay away.
    pub alone: bool,
    /// What it is called here.
    pub name: Option<String>,
    /// The model that it draws, by its id of the catalogue.
    pub model: Option<String>,
    /// Whether items that are here are got anew.
    pub force: bool,
}

/// A file that will come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedFile {
    /// Its repository.
    pub repo: String,
    /// The revision that was asked for.
    pub revision: String,
    /// The commit that this stands for.
    pub commit: String,
    /// What the hub says of it.
    pub listed: Listed,
    /// Its path in the store's folder.
    pub to: String,
    /// What it must hash to, whatever the hub says.
    pub pinned: Option<String>,
}

/// An item that will come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedItem {
    /// Its name.
    pub name: String,
    /// What it is for; found out when it is there, without.
    pub part: Option<Part>,
    /// What it has inside besides.
    pub holds: Vec<Part>,
    /// The model that it draws.
    pub model: Option<String>,
    /// Its licence.
    pub licence: Option<String>,
    /// Its main repository, for people.
    pub repo: String,
    /// Whether the hub is known to ask for an account.
    pub gated: bool,
    /// Its files.
    pub files: Vec<PlannedFile>,
}

impl PlannedItem {
    /// How many bytes it has.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.listed.bytes).sum()
    }
}

/// What a pull will get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Items that come.
    pub items: Vec<PlannedItem>,
    /// Items that are here.
    pub here: Vec<String>,
}

impl Plan {
    /// The licences that take a yes which nobody gave on this machine, each with what is known of it.
    pub fn licences(&self, offers: &Offers, registry: &Registry, hub: &Hub) -> Vec<Licence> {
        let mut wanted: BTreeMap<String, Licence> = BTreeMap::new();
        for item in &self.items {
            let id = item.licence.clone().unwrap_or_else(|| "unknown".to_owned());
            if offers.is_free(&id) || registry.accepted.contains_key(&id) {
                continue;
            }
            let page = hub.page(&item.repo);
            let known = offers.licence(&id).cloned();
            wanted.entry(id.clone()).or_insert_with(|| {
                known.unwrap_or_else(|| Licence {
                    name: if id == "unknown" { "no licence is named".to_owned() } else { id.clone() },
                    id,
                    notice: "Thumbforge knows nothing about its terms: read them on the page of the repository."
                        .to_owned(),
                    url: page,
                })
            });
        }
        wanted.into_values().collect()
    }
}

/// Asks the hub what a wish comes to.
///
/// # Errors
/// When it comes to nothing, and what to write instead.
pub async fn plan(hub: &Hub, store: &Store, offers: &Offers, wish: &Wish) -> Result<Plan, Failure> {
    match offers.get(&wish.what) {
        Some(offer) => plan_offer(hub, store, offers, offer, wish).await,
        None if wish.what.contains('/') => plan_repo(hub, wish).await,
        None => {
            let known: Vec<&str> = offers.all().iter().map(|offer| offer.name.as_str()).collect();
            Err(invalid(format!(
                "failed to pull {:?}: it is neither a repository (OWNER/NAME) nor one of {}",
                names::shown(&wish.what),
                known.join(", ")
            )))
        }
    }
}

fn invalid(message: String) -> Failure {
    Failure::new(ErrorCode::InvalidRequest, message)
}

async fn plan_offer(hub: &Hub, store: &Store, offers: &Offers, offer: &Offer, wish: &Wish) -> Result<Plan, Failure> {
    if !wish.files.is_empty() || wish.name.is_some() || wish.model.is_some() {
        return Err(invalid(format!(
            "failed to pull {}: --file, --name and --model are for repositories; its own is {}",
            offer.name, offer.repo
        )));
    }
    let t5 = |name: &str| match wish.t5 {
        T5::Fp16 => Some(name.to_owned()),
        T5::Fp8 => Some(format!("{name}-fp8")),
        T5::None => None,
    };
    let others = offer.with.iter().filter(|_| !wish.alone);
    let others = others.filter_map(|name| if name == "t5xxl" { t5(name) } else { Some(name.clone()) });
    let registry = store.registry()?;
    let mut plan = Plan::default();
    let mut listings: BTreeMap<(String, String), Listing> = BTreeMap::new();
    // The small things first: what is wrong with the hub or the token shows before gigabytes have come.
    let mut chosen: Vec<&Offer> = others.filter_map(|name| offers.get(&name)).collect();
    chosen.push(offer);
    chosen.sort_by_key(|offer| offer.bytes());
    for offer in chosen {
        let here = registry.items.get(&offer.name).is_some_and(|item| store.standing(item) == Standing::Here);
        if here && !(wish.force && offer.name == wish.what) {
            plan.here.push(offer.name.clone());
            continue;
        }
        let mut files = Vec::new();
        for file in &offer.files {
            let repo = file.repo.as_ref().unwrap_or(&offer.repo);
            let key = (repo.clone(), offer.revision.clone());
            if !listings.contains_key(&key) {
                listings.insert(key.clone(), hub.list(repo, &offer.revision).await?);
            }
            let listing = &listings[&key];
            files.push(planned(listing, &offer.revision, &file.path, file.to.as_deref(), file.sha256.as_deref())?);
        }
        plan.items.push(PlannedItem {
            name: offer.name.clone(),
            part: Some(offer.part),
            holds: offer.holds.clone(),
            model: offer.model.clone(),
            licence: Some(offer.licence.clone()),
            repo: offer.repo.clone(),
            gated: offer.gated,
            files,
        });
    }
    Ok(plan)
}

/// A file of a listing, as it will lie in the store.
pub(super) fn planned(
    listing: &Listing,
    revision: &str,
    path: &str,
    to: Option<&str>,
    pinned: Option<&str>,
) -> Result<PlannedFile, Failure> {
    let repo = &listing.repo;
    let listed = listing.files.iter().find(|listed| listed.path == path).ok_or_else(|| {
        let words = format!("failed to pull {repo}: it has no file {:?} at {revision}", names::shown(path));
        Failure::new(ErrorCode::NotFound, words)
    })?;
    if let (Some(pinned), Some(hash)) = (pinned, &listed.sha256)
        && pinned != hash
    {
        return Err(Failure::new(
            ErrorCode::ProviderFailed,
            format!(
                "failed to pull {repo}: {path} is another file there than this Thumbforge knows (SHA-256 {hash}, and \
                 {pinned} was expected); ask another hub, or take it as it is with: thumbforge weights pull {repo} \
                 --file {path}"
            ),
        ));
    }
    let mut listed = listed.clone();
    // A hub that names no hash is held to the one that is known.
    if let (Some(pinned), None) = (pinned, &listed.sha256) {
        listed.content = format!("sha256:{pinned}");
        listed.sha256 = Some(pinned.to_owned());
    }
    Ok(PlannedFile {
        repo: repo.clone(),
        revision: revision.to_owned(),
        commit: listing.commit.clone(),
        listed,
        to: to.unwrap_or(path).to_owned(),
        pinned: pinned.map(str::to_owned),
    })
}

async fn plan_repo(hub: &Hub, wish: &Wish) -> Result<Plan, Failure> {
    let usual = offer::main();
    let (repo, revision) = wish.what.split_once('@').unwrap_or((&wish.what, &usual));
    let wrong = |why: String| invalid(format!("failed to pull: {why}"));
    names::repo(repo).map_err(wrong)?;
    names::revision(revision).map_err(wrong)?;
    let name = wish.name.clone().unwrap_or_else(|| repo.replace('/', "--"));
    names::item(&name).map_err(wrong)?;
    if Offers::built_in().get(&name).is_some() {
        return Err(invalid(format!(
            "failed to pull {repo}: {name} is the name of something else; choose another --name"
        )));
    }
    let listing = hub.list(repo, revision).await?;
    let paths = choose(&listing, &wish.files).map_err(|why| invalid(format!("failed to pull {repo}: {why}")))?;
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for path in paths {
        if !seen.insert(path.to_lowercase()) {
            return Err(invalid(format!("failed to pull {repo}: two of its files differ only in case: {path}")));
        }
        files.push(planned(&listing, revision, &path, None, None)?);
    }
    let part = wish.model.is_some().then_some(Part::Model);
    let item = PlannedItem {
        name,
        part,
        holds: Vec::new(),
        model: wish.model.clone(),
        licence: listing.licence.clone(),
        repo: repo.to_owned(),
        gated: false,
        files,
    };
    Ok(Plan { items: vec![item], here: Vec::new() })
}

/// The files of a repository that are worth having: those asked for; else a whole diffusers model, or the one file of
/// weights that there is, with the settings beside it.
fn choose(listing: &Listing, asked: &[String]) -> Result<Vec<String>, String> {
    let all: Vec<&str> = listing.files.iter().map(|file| file.path.as_str()).collect();
    if !asked.is_empty() {
        return match asked.iter().find(|path| !all.contains(&path.as_str())) {
            Some(missing) => Err(format!("it has no file {:?}; {}", names::shown(missing), has(&weights_of(&all)))),
            None => Ok(asked.to_vec()),
        };
    }
    let chosen: Vec<&str> = if all.contains(&"model_index.json") {
        all.iter().copied().filter(|path| *path == "model_index.json" || is_of_diffusers(path)).collect()
    } else {
        let weights = weights_of(&all);
        let stem = |path: &str| path.split("-00").next().unwrap_or(path).to_owned();
        let stems: BTreeSet<String> = weights.iter().map(|path| stem(path)).collect();
        if stems.len() != 1 {
            return Err(format!("name what is wanted with --file; {}", has(&weights)));
        }
        let beside = all.iter().copied().filter(|path| {
            let settings = [".json", ".txt", ".model"].iter().any(|end| path.ends_with(end));
            settings && !path.contains('/') && *path != "README.txt"
        });
        weights.into_iter().chain(beside).collect()
    };
    if chosen.len() > FILES_MAX {
        return Err(format!("it has more than {FILES_MAX} files; name those that are wanted with --file"));
    }
    Ok(chosen.into_iter().map(str::to_owned).collect())
}

fn weights_of<'a>(all: &[&'a str]) -> Vec<&'a str> {
    all.iter().copied().filter(|path| path.ends_with(".safetensors") || path.ends_with(".gguf")).collect()
}

/// Whether a file belongs to a model of diffusers: a setting or weights in one of its folders, and no second variant of
/// them (`model.fp16.safetensors` beside `model.safetensors`).
fn is_of_diffusers(path: &str) -> bool {
    let Some((folder, name)) = path.split_once('/') else { return false };
    let known = ["transformer", "vae", "scheduler"].contains(&folder)
        || folder.starts_with("text_encoder") && folder != "text_encoders"
        || folder.starts_with("tokenizer");
    let kind = [".safetensors", ".json", ".txt", ".model"].iter().any(|end| name.ends_with(end));
    known && kind && ![".fp16", ".bf16", ".fp8", ".non_ema"].iter().any(|variant| name.contains(variant))
}

/// What there is to choose from, for a message.
fn has(weights: &[&str]) -> String {
    const SHOWN: usize = 12;
    match weights {
        [] => "it has no .safetensors and no .gguf".to_owned(),
        some if some.len() > SHOWN => format!("it has {} and {} more", some[..SHOWN].join(", "), some.len() - SHOWN),
        some => format!("it has {}", some.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(paths: &[&str]) -> Listing {
        let file = |path: &&str| Listed {
            path: (*path).to_owned(),
            bytes: 1,
            content: "git:1".to_owned(),
            sha256: Some("aa".repeat(32)),
        };
        let files = paths.iter().map(file).collect();
        Listing { repo: "a/b".to_owned(), commit: "c".to_owned(), licence: None, files }
    }

    #[test]
    fn the_files_worth_having_are_chosen() {
        #[track_caller]
        fn check(paths: &[&str], asked: &[&str], expected: Result<&[&str], &str>) {
            let asked: Vec<String> = asked.iter().map(|it| (*it).to_owned()).collect();
            match (choose(&listing(paths), &asked), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(why), Err(expected)) => assert!(why.contains(expected), "{why}"),
                (found, _) => panic!("{found:?}"),
            }
        }
        check(&["m.safetensors", "README.md"], &[], Ok(&["m.safetensors"]));
        check(&["m.gguf", "config.json", "x/y.json"], &[], Ok(&["m.gguf", "config.json"]));
        check(&["a.gguf", "b.gguf"], &[], Err("--file; it has a.gguf, b.gguf"));
        check(&["a.gguf", "b.gguf"], &["b.gguf"], Ok(&["b.gguf"]));
        check(&["a.gguf"], &["c.gguf"], Err("no file \"c.gguf\"; it has a.gguf"));
        check(&["model.bin"], &[], Err("no .safetensors and no .gguf"));
        let shards = ["m-00001-of-00002.safetensors", "m-00002-of-00002.safetensors"];
        check(&shards, &[], Ok(&shards));
        let diffusers = [
            "model_index.json",
            "scheduler/scheduler_config.json",
            "sd3.5_medium.safetensors",
            "text_encoder/model.fp16.safetensors",
            "text_encoder/model.safetensors",
            "text_encoders/clip_l.safetensors",
            "text_encoder_3/model-00001-of-00002.safetensors",
            "text_encoder_3/model.safetensors.index.fp16.json",
            "text_encoder_3/model.safetensors.index.json",
            "tokenizer_3/spiece.model",
            "transformer/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.bin",
            "vae/diffusion_pytorch_model.safetensors",
        ];
        let wanted = [
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/model.safetensors",
            "text_encoder_3/model-00001-of-00002.safetensors",
            "text_encoder_3/model.safetensors.index.json",
            "tokenizer_3/spiece.model",
            "transformer/diffusion_pytorch_model.safetensors",
            "vae/diffusion_pytorch_model.safetensors",
        ];
        check(&diffusers, &[], Ok(&wanted));
    }

    #[test]
    fn a_hub_cannot_hand_out_something_else_under_a_known_name() {
        let listing = listing(&["m.safetensors"]);
        let (same, other) = ("aa".repeat(32), "bb".repeat(32));
        assert!(planned(&listing, "main", "m.safetensors", None, Some(&same)).is_ok());
        let failure = planned(&listing, "main", "m.safetensors", None, Some(&other)).unwrap_err();
        assert!(failure.message.contains("another file") && failure.code == ErrorCode::ProviderFailed, "{failure}");
        let mut silent = listing.clone();
        silent.files[0].sha256 = None;
        let held = planned(&silent, "main", "m.safetensors", None, Some(&other)).unwrap().listed;
        assert_eq!((held.sha256.as_ref(), held.content), (Some(&other), format!("sha256:{other}")));
        assert_eq!(planned(&listing, "main", "n", None, None).unwrap_err().code, ErrorCode::NotFound);
    }
}
