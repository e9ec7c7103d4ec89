//! Whom to trust: what this machine trusts, so that a studio's own proxy works; Mozilla's list where a machine has none.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use super::ClientError;

/// TLS for every connection. The provider is named here rather than installed for the process: a library that is loaded
/// beside ours may have installed another.
pub(crate) fn config() -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let wrong = |error: rustls::Error| ClientError::Tls(error.to_string());
    let mut config = match builder(&provider).map_err(wrong)?.with_platform_verifier() {
        Ok(config) => config.with_no_client_auth(),
        // A container without a list of authorities. Only Linux can be without.
        Err(_) => {
            trusting(&provider, RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }).map_err(wrong)?
        }
    };
    config.alpn_protocols = protocols();
    Ok(config)
}

/// HTTP/2 where a server has it.
fn protocols() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}

fn builder(
    provider: &Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()
}

/// TLS that trusts these authorities alone.
fn trusting(provider: &Arc<CryptoProvider>, roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    Ok(builder(provider)?.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use rustls::ServerConfig;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

    use super::*;

    /// A certificate for "localhost" until 2126 that signed itself, and its key. They are known to everybody and trusted by
    /// nobody but these tests.
    const CERTIFICATE: &str = "\
        MIIBnjCCAUSgAwIBAgIUZXkCCCQBvk1o6NOHIP2kjcciW0MwCgYIKoZIzj0EAwIwGjEYMBYGA1UEAwwPdGh1bWJmb3JnZSB0ZXN0\
        MCAXDTI2MTEyMTExMzczM1oYDzIxMjYxMDI4MTEzNzMzWjAaMRgwFgYDVQQDDA90aHVtYmZvcmdlIHRlc3QwWTATBgcqhkjOPQIB\
        BggqhkjOPQMBBwNCAAT4IUeCgv06Dj1H5MdwSOiJJC4L0kJVtSQ/K5FvYw3eNdxO6Mp9fYbVCIX+LRlgjgxufQMCb3aGdAYJjKeH\
        is/8o2YwZDAdBgNVHQ4EFgQUZTmsFWyRAZfMAf2aWgySi3tB4IYwHwYDVR0jBBgwFoAUZTmsFWyRAZfMAf2aWgySi3tB4IYwFAYD\
        VR0RBA0wC4IJbG9jYWxob3N0MAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDSAAwRQIgBna6L/Wy+GxpJ2eRvaXIMcbUjL3A+8Zq\
        M31A6RsC+0cCIQCwfj5gQb+0JvYMMxEkB/3Zn1MZ7GOlr4vCfwylGOlV0Q==";
    const KEY: &str = "\
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgZZpXCltnXLNWmjCZ/ZVKVa0vvMR4AAh5OaXCrXkbDNihRANCAAT4\
        IUeCgv06Dj1H5MdwSOiJJC4L0kJVtSQ/K5FvYw3eNdxO6Mp9fYbVCIX+LRlgjgxufQMCb3aGdAYJjKeHis/8";

    fn der(text: &str) -> Vec<u8> {
        STANDARD.decode(text).unwrap()
    }

    /// A client and a server of HTTP/2 that trust each other.
    pub(in crate::client) fn pair() -> (ClientConfig, ServerConfig) {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(der(CERTIFICATE))).unwrap();
        let mut client = trusting(&provider, roots).unwrap();
        client.alpn_protocols = protocols();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der(KEY)));
        let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![CertificateDer::from(der(CERTIFICATE))], key);
        let mut server = server.unwrap();
        server.alpn_protocols = protocols();
        (client, server)
    }

    #[test]
    fn every_machine_can_speak_tls() {
        assert_eq!(config().unwrap().alpn_protocols, protocols());
        assert!(webpki_roots::TLS_SERVER_ROOTS.len() > 50);
    }
}
