//! Whom to trust: what this machine trusts, so that a studio's own proxy works; Mozilla's list where a machine has none.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use super::ClientError;

/// TLS for every connection. The provider is named here rather than installed for the process: a library that is loaded
/// beside ours may have installed another.
pub(super) fn config() -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let wrong = |error: rustls::Error| ClientError::Tls(error.to_string());
    let mut config = match builder(&provider).map_err(wrong)?.with_platform_verifier() {
        Ok(config) => config.with_no_client_auth(),
        // A container without a list of authorities. Only Linux can be without.
        Err(_) => bundled(&provider).map_err(wrong)?,
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn builder(
    provider: &Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()
}

/// TLS that trusts Mozilla's list.
fn bundled(provider: &Arc<CryptoProvider>) -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    Ok(builder(provider)?.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_can_speak_tls() {
        assert_eq!(config().unwrap().alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        let provider = Arc::new(ring::default_provider());
        assert!(bundled(&provider).unwrap().enable_sni);
        assert!(webpki_roots::TLS_SERVER_ROOTS.len() > 50);
    }
}
