//! Checking: what a manifest says, who signed it, and whether a byte was changed since.

use std::io::Cursor;

use c2pa::validation_status::SIGNING_CREDENTIAL_UNTRUSTED;
use c2pa::{Context, Manifest, Reader, Settings, ValidationState};
use serde_json::json;

use super::super::{origin, png};
use super::{Seal, State};

/// Most megabytes that a packed manifest may unpack to; ours has 12 KB.
const MANIFEST_MB_MAX: u64 = 16;

/// Our own code, beside the standard's: the chunk that holds the manifest is not what its checksum says.
const DAMAGED: &str = "thumbforge.chunk.damaged";

/// The library's settings: no network, and `anchors` as the roots that are trusted.
pub(super) fn settings(anchors: Option<&str>) -> Result<Settings, String> {
    let settings = json!({
        "trust": { "user_anchors": anchors },
        "core": { "max_decompressed_manifest_size_in_mb": MANIFEST_MB_MAX, "allowed_network_hosts": [] },
        "verify": { "remote_manifest_fetch": false, "ocsp_fetch": false },
    });
    Settings::new()
        .with_json(&settings.to_string())
        .map_err(|_| "read the trusted certificates: there is no certificate in PEM".to_owned())
}

/// See [`super::look`].
pub(super) fn look(file: &[u8], anchors: Option<&str>) -> Result<Option<Seal>, String> {
    let settings = settings(anchors)?;
    if !png::has_chunk(Cursor::new(file), png::C2PA).unwrap_or(false) {
        return Ok(None);
    }
    // The standard lets a signature be padded, and signs neither the padding nor a header beside it: a bit that is changed
    // there tells no lie, but it is not what was signed. The chunk's checksum knows.
    if !png::is_intact(file, png::C2PA).unwrap_or(false) {
        return Ok(Some(Seal { state: State::Invalid, failures: vec![DAMAGED.to_owned()], ..Seal::unchecked() }));
    }
    let read = Context::new()
        .with_settings(&settings)
        .and_then(|context| Reader::from_context(context).with_stream("image/png", Cursor::new(file)));
    Ok(Some(match read {
        Ok(reader) => seal(&reader),
        // A manifest that cannot even be read was changed or cut.
        Err(err) => Seal { state: State::Invalid, failures: vec![err.to_string()], ..Seal::unchecked() },
    }))
}

fn seal(reader: &Reader) -> Seal {
    let state = match reader.validation_state() {
        ValidationState::Trusted => State::Trusted,
        ValidationState::Valid => State::Untrusted,
        ValidationState::Invalid => State::Invalid,
    };
    let mut failures: Vec<String> =
        reader.validation_status().unwrap_or_default().iter().map(|status| status.code().to_owned()).collect();
    failures.sort();
    failures.dedup();
    // The library calls a manifest trusted where it found no fault; without a root nobody vouched for anybody.
    debug_assert!(state != State::Trusted || !failures.iter().any(|code| code == SIGNING_CREDENTIAL_UNTRUSTED));
    let manifest = reader.active_manifest();
    let signature = manifest.and_then(Manifest::signature_info);
    Seal {
        state,
        signer: signature.and_then(|signature| signature.common_name.clone()),
        organisation: signature.and_then(|signature| signature.issuer.clone()),
        algorithm: signature.and_then(|signature| signature.alg).map(|alg| alg.to_string()),
        claimed_by: manifest.and_then(program),
        source_types: manifest.map(source_types).unwrap_or_default(),
        failures,
    }
}

/// The program that made the claim.
fn program(manifest: &Manifest) -> Option<String> {
    let info = manifest.claim_generator_info.as_ref()?.first()?;
    Some(match &info.version {
        Some(version) => format!("{} {version}", info.name),
        None => info.name.clone(),
    })
}

/// The terms that actions name, each once, in their order.
fn source_types(manifest: &Manifest) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    let actions = manifest.assertions().iter().filter(|assertion| assertion.label().starts_with("c2pa.actions"));
    for value in actions.filter_map(|assertion| assertion.value().ok()) {
        for action in value["actions"].as_array().into_iter().flatten() {
            let Some(uri) = action["digitalSourceType"].as_str() else { continue };
            let term = origin::term(uri).to_owned();
            if !terms.contains(&term) {
                terms.push(term);
            }
        }
    }
    terms
}
