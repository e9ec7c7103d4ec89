//! Signing: the studio's certificate and key, and a picture that goes in without a manifest and comes out with one.

use std::io::Cursor;

use c2pa::{BoxedSigner, Builder, Context, Settings, SigningAlg, create_signer};
use serde_json::{Value, json};
use thiserror::Error;
use thumbforge_core::image::Extent;
use x509_parser::oid_registry;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::origin::SourceType;
use super::super::png;
use super::claim::SOURCE_LABEL;
use super::{Claim, Source, State, verify};

/// Longest chain of certificates that is used: the signer's own, and at most nine that vouch for it.
const CERTIFICATES_MAX: usize = 10;

/// Why nothing can be signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// No chain of certificates.
    #[error("read the certificate: {0}")]
    Certificate(String),
    /// No key, or one of another certificate.
    #[error("read the key: {0}")]
    Key(String),
    /// The library refused.
    #[error("sign {title}: {why}")]
    Sign {
        /// What was to be signed.
        title: String,
        /// What the library says.
        why: String,
    },
    /// It signed something that does not hold; a fault of ours, since the key was tried before.
    #[error("sign {title}: the signature does not hold ({codes})")]
    Broken {
        /// What was signed.
        title: String,
        /// What failed, by the standard's codes.
        codes: String,
    },
}

/// A certificate with its key.
pub struct Signer {
    signer: BoxedSigner,
    settings: Settings,
}

impl Signer {
    /// A signer of a chain of certificates, the signer's own first, and of its key, both in PEM.
    ///
    /// # Errors
    /// [`SignError::Certificate`] and [`SignError::Key`].
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, SignError> {
        let algorithm = algorithm(chain)?;
        check_key(key)?;
        // No authority is asked for the time: it would need the network, and a build without it shall sign as well.
        let signer = create_signer::from_keys(chain, key, algorithm, None)
            .map_err(|err| SignError::Key(format!("{err}; it must be the key of the first certificate, in PKCS #8")))?;
        let settings = verify::settings(None).map_err(SignError::Certificate)?;
        let signer = Self { signer, settings };
        signer.check()?;
        Ok(signer)
    }

    /// Signs a picture of one pixel: what is wrong with a certificate or its key is told once, before anything is copied.
    fn check(&self) -> Result<(), SignError> {
        let action = json!({ "action": "c2pa.created", "digitalSourceType": SourceType::AlgorithmicMedia.uri() });
        let definition = json!({
            "claim_generator_info": [{ "name": "Thumbforge" }],
            "assertions": [{ "label": "c2pa.actions.v2", "data": { "actions": [action] } }],
        });
        let refused = |why: String| {
            SignError::Certificate(format!(
                "C2PA does not take it ({why}); it must not have expired, and needs the key usage of digital signatures and \
                 the extended key usage of e-mail protection, of document signing (1.3.6.1.5.5.7.3.36) or of C2PA claims \
                 (1.3.6.1.4.1.62558.2.1)"
            ))
        };
        let signed = self.signed(&one_pixel(), definition, None).map_err(|err| refused(err.to_string()))?;
        let Some(seal) = verify::look(&signed, None).map_err(SignError::Certificate)? else {
            return Err(refused("nothing was signed".to_owned()));
        };
        let has = |begin: &str| seal.failures.iter().any(|code| code.starts_with(begin));
        match seal.state {
            State::Trusted | State::Untrusted => Ok(()),
            _ if has("claimSignature.") => {
                Err(SignError::Key("what it signs does not hold; does it belong to the first certificate?".to_owned()))
            }
            _ => Err(refused(seal.failures.join(", "))),
        }
    }

    /// `file`, a PNG without a manifest, with one that says `claim`; checked as a stranger would check it.
    ///
    /// # Errors
    /// [`SignError::Sign`] and [`SignError::Broken`].
    pub fn sign(&self, file: &[u8], claim: &Claim<'_>) -> Result<Vec<u8>, SignError> {
        let signed = self
            .signed(file, claim.definition(), claim.source)
            .map_err(|err| SignError::Sign { title: claim.title.to_owned(), why: err.to_string() })?;
        let seal = verify::look(&signed, None).ok().flatten();
        match seal {
            Some(seal) if matches!(seal.state, State::Trusted | State::Untrusted) => Ok(signed),
            seal => Err(SignError::Broken {
                title: claim.title.to_owned(),
                codes: seal.map_or_else(|| "no manifest".to_owned(), |seal| seal.failures.join(", ")),
            }),
        }
    }

    fn signed(&self, file: &[u8], definition: Value, source: Option<Source<'_>>) -> c2pa::Result<Vec<u8>> {
        let context = Context::new().with_settings(&self.settings)?;
        let mut builder = Builder::from_context(context).with_definition(definition)?;
        if let Some(source) = source {
            let format = format(source.file);
            let named = json!({ "title": source.title, "relationship": "parentOf", "label": SOURCE_LABEL });
            builder.add_ingredient_from_stream(named.to_string(), format, &mut Cursor::new(source.file))?;
        }
        let mut signed = Cursor::new(Vec::with_capacity(file.len() + (32 << 10)));
        builder.sign(self.signer.as_ref(), "image/png", &mut Cursor::new(file), &mut signed)?;
        Ok(signed.into_inner())
    }
}

/// A PNG with one grey pixel.
fn one_pixel() -> Vec<u8> {
    const SIZE: Extent = Extent { width: 1, height: 1 };
    // Writing to memory cannot fail; an empty file would be refused as what it is.
    png::encode_grey(SIZE, &[0]).unwrap_or_default()
}

/// The media type of a picture, by its first bytes.
fn format(file: &[u8]) -> &'static str {
    match file {
        [0xff, 0xd8, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        // Formats that cannot hold a manifest are hashed as they are.
        _ => "application/octet-stream",
    }
}

/// The algorithm that the first certificate's key signs with.
///
/// RSA is left out: the library's RSA in pure Rust takes a time that depends on the key (RUSTSEC-2023-0071). Nothing here
/// ever does a private operation with it.
fn algorithm(chain: &[u8]) -> Result<SigningAlg, SignError> {
    let wrong = |why: &str| SignError::Certificate(why.to_owned());
    let mut certificates = Vec::new();
    for pem in Pem::iter_from_buffer(chain).take(CERTIFICATES_MAX + 1) {
        let pem = pem.map_err(|err| SignError::Certificate(format!("it is no PEM: {err}")))?;
        if pem.label != "CERTIFICATE" {
            return Err(SignError::Certificate(format!(
                "there is a {:?} in it; it must hold certificates alone",
                pem.label
            )));
        }
        certificates.push(pem.contents);
    }
    if certificates.len() > CERTIFICATES_MAX {
        return Err(SignError::Certificate(format!("its chain is longer than {CERTIFICATES_MAX} certificates")));
    }
    let first = certificates.first().ok_or_else(|| wrong("there is none in the file"))?;
    let (_, certificate) = X509Certificate::from_der(first).map_err(|_| wrong("its first certificate is damaged"))?;
    if certificate.is_ca() {
        return Err(wrong("its first certificate is that of an authority; the signer's own comes first"));
    }
    let key = &certificate.public_key().algorithm;
    let curve = key.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
    if key.algorithm == oid_registry::OID_SIG_ED25519 {
        return Ok(SigningAlg::Ed25519);
    }
    match curve {
        Some(curve) if curve == oid_registry::OID_EC_P256 => Ok(SigningAlg::Es256),
        Some(curve) if curve == oid_registry::OID_NIST_EC_P384 => Ok(SigningAlg::Es384),
        Some(curve) if curve == oid_registry::OID_NIST_EC_P521 => Ok(SigningAlg::Es512),
        _ => Err(wrong(
            "its key is none of P-256, P-384, P-521 and Ed25519; ask for a certificate with one of these (RSA is not signed with)",
        )),
    }
}

/// Says of the usual slips what to do.
fn check_key(key: &[u8]) -> Result<(), SignError> {
    let text = std::str::from_utf8(key).map_err(|_| SignError::Key("it is no PEM".to_owned()))?;
    let has = |label: &str| text.contains(&format!("-----BEGIN {label}-----"));
    let mend = |why: &str| Err(SignError::Key(why.to_owned()));
    match () {
        () if has("PRIVATE KEY") => Ok(()),
        () if has("ENCRYPTED PRIVATE KEY") => mend(
            "it is encrypted; decrypt it (`openssl pkcs8 -in KEY -out PLAIN`) into a place that only the build can read",
        ),
        () if has("EC PRIVATE KEY") => {
            mend("it is in SEC 1; convert it with `openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW`")
        }
        () if has("CERTIFICATE") => mend("it is a certificate; name the file with the private key"),
        () => mend("there is no \"BEGIN PRIVATE KEY\" in it; it must be PEM in PKCS #8"),
    }
}
