//! Copies that are signed, with certificates made for the test, and what is said of each byte that changes since.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm,
};

use thumbforge_tests::rig::Ran;

use super::mixed::mixed;
use super::*;

/// A studio's certificate and key, and the root that vouches for them, as files of a rig.
struct Studio {
    chain: String,
    key: String,
    root: String,
}

/// What is wrong with a certificate that is made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slip {
    None,
    /// It is that of a web server.
    Purpose,
    Expired,
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Example Games");
    params
}

fn studio(rig: &Rig, algorithm: &'static SignatureAlgorithm, slip: Slip) -> Studio {
    let root_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let mut root = named("Example Games Root");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let root_certificate = root.self_signed(&root_key).expect("a root");
    let issuer = Issuer::new(root, root_key);

    let key = KeyPair::generate_for(algorithm).expect("a key");
    let mut own = named("Example Studio");
    own.is_ca = IsCa::ExplicitNoCa;
    own.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    own.use_authority_key_identifier_extension = true;
    // C2PA's profile allows several, and every verifier takes this one.
    own.extended_key_usages = match slip {
        Slip::Purpose => vec![ExtendedKeyUsagePurpose::ServerAuth],
        _ => vec![ExtendedKeyUsagePurpose::EmailProtection],
    };
    if slip == Slip::Expired {
        own.not_before = rcgen::date_time_ymd(2020, 1, 1);
        own.not_after = rcgen::date_time_ymd(2021, 1, 1);
    }
    let certificate = own.signed_by(&key, &issuer).expect("a certificate");
    let file = |name: &str, text: String| {
        let path = rig.path().join(name);
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        path.display().to_string()
    };
    Studio {
        chain: file("chain.pem", certificate.pem() + &root_certificate.pem()),
        key: file("key.pem", key.serialize_pem()),
        root: file("root.pem", root_certificate.pem()),
    }
}

fn store(rig: &Rig) -> PathBuf {
    rig.path().join("Store")
}

/// Exports all with a studio's signature.
fn export(rig: &Rig, studio: &Studio, more: &[&str]) -> Ran {
    let to = store(rig).display().to_string();
    let mut args = vec!["export", "--out", &to, "--sign-cert", &studio.chain, "--json"];
    args.extend(more);
    if !more.contains(&"--sign-key-env") {
        args.extend(["--sign-key", &studio.key]);
    }
    rig.run(&args)
}

#[test]
fn a_signed_copy_is_checked_and_one_changed_bit_shows() {
    for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384] {
        let rig = built();
        let studio = studio(&rig, algorithm, Slip::None);
        let report = export(&rig, &studio, &[]).expect(0).says(&["4 of them signed"]).json();
        assert_eq!(report["items"][0]["c2pa"]["state"], "untrusted");
        let file = store(&rig).join(SWORD);
        let name = file.display().to_string();

        let seal = shown(&rig, &file)["c2pa"].clone();
        assert_eq!((&seal["state"], &seal["signer"]), (&json!("untrusted"), &json!("Example Studio")));
        assert_eq!(seal["failures"], json!(["signingCredential.untrusted"]));
        assert_eq!(seal["source_types"], json!(["algorithmicMedia"]));
        assert_eq!(seal["claimed_by"], format!("Thumbforge {}", env!("CARGO_PKG_VERSION")));
        let text = rig.run(&["show", &name]).expect(0).stdout;
        assert!(
            text.contains("signed by Example Studio; unchanged since, but the certificate's root is not"),
            "{text}"
        );
        // With the root that vouches for it.
        let text = rig.run(&["show", &name, "--trust", &studio.root]).expect(0).stdout;
        assert!(text.contains("signed by Example Studio; valid"), "{text}");

        // Signed last: everything else is in it, and is what an unsigned copy has.
        let copy = shown(&rig, &file);
        assert_eq!(copy["keys_agree"], true);
        assert_eq!(copy["xmp"]["source_type"], "algorithmicMedia");

        // One bit anywhere: of the pixels, of the text, of the manifest.
        let bytes = fs::read(&file).expect("a copy");
        let at = |kind: &[u8]| bytes.windows(4).position(|window| window == kind).expect("a chunk");
        let places = [at(b"IDAT") + 40, at(b"iTXt") + 30, at(b"caBX") + 600, at(b"caBX") + 3_000, at(b"IHDR") + 7];
        for place in places {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let path = rig.write("changed.png", &changed).display().to_string();
            let ran = rig.run(&["show", "--json", &path, "--trust", &studio.root]);
            // What is so broken that it is no PNG any more is an error of its own.
            assert!(matches!(ran.code, 2 | 7), "a change at {place} was passed over: {}", ran.stdout);
            assert!(!ran.stdout.contains("\"trusted\"") && !ran.stderr.contains("panicked"), "{place}: {}", ran.stderr);
        }
        let mut changed = bytes.clone();
        changed[at(b"IDAT") + 40] ^= 1;
        let path = rig.write("changed.png", &changed).display().to_string();
        let text = rig.run(&["show", &path]).expect(7).stdout;
        assert!(text.contains("INVALID: the file was changed after signing"), "{text}");
    }
}

#[test]
fn any_bit_of_a_small_picture_shows() {
    use thumbforge_sidecar::output::c2pa::{State, look};
    let rig = built();
    let studio = studio(&rig, &PKCS_ED25519, Slip::None);
    export(&rig, &studio, &["--asset", "sword", "--locale", "en"]).expect(0);
    let bytes = fs::read(store(&rig).join(SWORD)).expect("a copy");
    let roots = fs::read_to_string(&studio.root).expect("roots");
    let state = |bytes: &[u8]| look(bytes, Some(&roots)).expect("roots").map(|seal| seal.state);
    assert_eq!(state(&bytes), Some(State::Trusted));
    // A stride that meets every chunk and every byte of a length; all of them would take minutes.
    let mut seen = 0;
    for place in (8..bytes.len()).step_by(61) {
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (place % 8);
        seen += 1;
        let found = state(&changed);
        // A chunk's name that is changed hides the manifest: then nothing is said to be signed.
        assert!(matches!(found, None | Some(State::Invalid)), "a change at {place} was passed over: {found:?}");
    }
    assert!(seen > 200, "{seen}");
    // Cut short at any place, too.
    for cut in (0..bytes.len()).step_by(997) {
        assert_ne!(state(&bytes[..cut]), Some(State::Trusted), "{cut}");
    }
}

#[test]
fn each_kind_of_picture_claims_what_it_is() {
    let rig = mixed();
    let studio = studio(&rig, &PKCS_ED25519, Slip::None);
    export(&rig, &studio, &[]).expect(0);
    let check = |name: &str, types: &[&str], xmp: Option<&str>| {
        let shown = shown(&rig, &store(&rig).join(format!("{name}.png")));
        assert_eq!(shown["c2pa"]["state"], "untrusted", "{name}: {shown:#}");
        assert_eq!(shown["c2pa"]["source_types"], json!(types), "{name}");
        assert_eq!(shown["xmp"]["source_type"].as_str(), xmp, "{name}");
    };
    let composite = "compositeWithTrainedAlgorithmicMedia";
    check("plain", &["trainedAlgorithmicMedia"], Some("trainedAlgorithmicMedia"));
    check("worded", &[composite], Some(composite));
    check("kept", &[], None);
    check("own", &["humanEdits"], Some("humanEdits"));
    check("builtin", &["algorithmicMedia"], Some("algorithmicMedia"));
}

#[test]
fn the_key_of_a_ci_comes_from_its_environment_and_is_in_no_output() {
    let rig = built();
    let studio = studio(&rig, &PKCS_ECDSA_P256_SHA256, Slip::None);
    let key = fs::read_to_string(&studio.key).expect("the key");
    fs::remove_file(&studio.key).expect("the key's file");
    export(&rig, &studio, &["--sign-key-env", "STUDIO_KEY"]).expect(2).says(&["STUDIO_KEY"]);
    assert!(!store(&rig).exists());
    let rig = rig.with_variable("STUDIO_KEY", &key);
    let ran = export(&rig, &studio, &["--sign-key-env", "STUDIO_KEY"]).expect(0);
    let line = key.lines().nth(1).expect("a line of the key");
    assert!(!ran.stdout.contains(line) && !ran.stderr.contains(line));
    // No key is looked for: without the flags nothing is signed, whatever the environment has.
    let to = store(&rig).display().to_string();
    let report = rig.run(&["export", "--out", &to, "--json"]).expect(0).json();
    assert_eq!(report["items"][0]["c2pa"], Value::Null);
    assert_eq!(
        shown(&rig, &store(&rig).join(SWORD))["c2pa"],
        Value::Null,
        "a copy that is made anew loses its signature"
    );
}

#[test]
fn what_cannot_sign_is_refused_with_what_to_do() {
    let rig = built();
    let good = studio(&rig, &PKCS_ECDSA_P256_SHA256, Slip::None);
    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o644)).expect("a mode");
    export(&rig, &good, &[]).expect(2).says(&["others can read it", "chmod 600"]);
    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o600)).expect("a mode");
    let key = fs::read_to_string(&good.key).expect("the key");
    let with_key = |text: &str, code: i32, words: &[&str]| {
        fs::write(&good.key, text).expect("a key");
        export(&rig, &good, &[]).expect(code).says(words);
        assert!(!store(&rig).join(SWORD).exists());
    };
    with_key("nothing", 2, &["BEGIN PRIVATE KEY"]);
    with_key(&key.replace("PRIVATE KEY", "EC PRIVATE KEY"), 2, &["SEC 1", "openssl pkcs8 -topk8"]);
    with_key(&key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"), 2, &["encrypted"]);
    let other = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key").serialize_pem();
    with_key(&other, 2, &["does it belong to the first certificate?"]);
    fs::write(&good.key, &key).expect("a key");
    let chain = fs::read_to_string(&good.chain).expect("the chain");
    fs::write(&good.chain, fs::read_to_string(&good.root).expect("the root")).expect("a chain");
    export(&rig, &good, &[]).expect(2).says(&["that of an authority"]);
    fs::write(&good.chain, &key).expect("a chain");
    export(&rig, &good, &[]).expect(2).says(&["certificates alone"]);
    fs::write(&good.chain, &chain).expect("a chain");
    export(&rig, &good, &[]).expect(0);

    for slip in [Slip::Purpose, Slip::Expired] {
        let rig = built();
        let bad = studio(&rig, &PKCS_ED25519, slip);
        export(&rig, &bad, &[]).expect(2).says(&["C2PA does not take it", "must not have expired", "document signing"]);
        assert!(!store(&rig).exists(), "nothing lies there that does not hold");
    }
}
