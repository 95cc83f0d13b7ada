//! A connection against a rustls server in the same process, over plain byte vectors.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Cursor, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use openbao_kms_tls::connection::{Connection, Options};
use openbao_kms_tls::failure::Failure;
use openbao_kms_tls::remote_key::SignCallback;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring::default_provider;
use rustls::crypto::ring::sign::any_ecdsa_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, SignatureScheme, SupportedProtocolVersion};

const ECDSA_P256: u16 = 0x0403;

struct Party {
    certificate: Certificate,
    key: KeyPair,
}

fn authority() -> (Certificate, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate, Issuer::new(params, key))
}

fn issue(issuer: &Issuer<'static, KeyPair>, name: &str) -> Party {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    Party { certificate, key }
}

struct World {
    ca: Certificate,
    server: ServerConnection,
    client: Party,
}

fn world(version: &'static SupportedProtocolVersion) -> World {
    let (ca, issuer) = authority();
    let (server, client) = (issue(&issuer, "bao.example"), issue(&issuer, "node.example"));
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
        .build()
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server.key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.certificate.der().clone()], key)
        .unwrap();
    World {
        ca,
        server: ServerConnection::new(Arc::new(config)).unwrap(),
        client,
    }
}

fn connection(world: &World, name: &str, ca: &Certificate) -> Connection {
    Connection::new(Options {
        server_name: name.to_owned(),
        ca: vec![ca.der().to_vec()],
        chain: vec![world.client.certificate.der().to_vec()],
        schemes: vec![ECDSA_P256],
        max_plain_bytes: 1000,
    })
    .unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// Signs as a token would: outside rustls' own key handling.
fn signer(key: &KeyPair) -> SignCallback {
    let key = any_ecdsa_type(&PrivateKeyDer::from(PrivatePkcs8KeyDer::from(
        key.serialize_der(),
    )));
    let key = key.unwrap();
    Rc::new(move |scheme, message| key.choose_scheme(&[scheme])?.sign(message).ok())
}

/// Carries bytes both ways until neither side has more to say.
fn pump(client: &mut Connection, server: &mut ServerConnection, sign: &SignCallback) -> Result<(), Failure> {
    loop {
        let to_server = client.write_tls()?;
        let mut input = Cursor::new(&to_server);
        while input.position() < to_server.len() as u64 {
            server.read_tls(&mut input).unwrap();
            // A refusal leaves an alert in the server's output, which the client is to see.
            let _refused = server.process_new_packets();
        }
        let mut to_client = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut to_client).unwrap();
        }
        if to_server.is_empty() && to_client.is_empty() {
            return Ok(());
        }
        client.read_tls(&to_client, sign)?;
    }
}

#[test]
fn exchanges_data_over_both_versions_with_a_signature_from_outside() {
    for (version, name) in [
        (&rustls::version::TLS13, "TLSv1_3"),
        (&rustls::version::TLS12, "TLSv1_2"),
    ] {
        let mut world = world(version);
        let mut client = connection(&world, "bao.example", &world.ca);
        let sign = signer(&world.client.key);
        assert_eq!(client.write_plain(b"early"), Err(Failure::State));
        assert_eq!(pump(&mut client, &mut world.server, &sign), Ok(()));
        assert!(!client.is_handshaking());
        assert_eq!(client.protocol(), Some(name));

        client.write_plain(b"question").unwrap();
        world.server.writer().write_all(b"answer").unwrap();
        world.server.send_close_notify();
        assert_eq!(pump(&mut client, &mut world.server, &sign), Ok(()));
        let mut asked = [0; 8];
        world.server.reader().read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"question");
        assert_eq!(client.read_plain(), b"answer");
        assert!(client.peer_closed());
    }
}

#[test]
fn names_what_is_wrong_with_the_server() {
    let (other, _) = authority();
    let mut first = world(&rustls::version::TLS13);
    let mut client = connection(&first, "bao.example", &other);
    let sign = signer(&first.client.key);
    assert_eq!(
        pump(&mut client, &mut first.server, &sign),
        Err(Failure::ServerUntrusted)
    );

    let mut second = world(&rustls::version::TLS13);
    let mut client = connection(&second, "other.example", &second.ca);
    let sign = signer(&second.client.key);
    assert_eq!(
        pump(&mut client, &mut second.server, &sign),
        Err(Failure::ServerName)
    );
}

#[test]
fn names_a_refused_client_certificate() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut world = world(version);
        let (_, stranger) = authority();
        world.client = issue(&stranger, "node.example");
        let mut client = connection(&world, "bao.example", &world.ca);
        let sign = signer(&world.client.key);
        assert_eq!(
            pump(&mut client, &mut world.server, &sign),
            Err(Failure::ClientRefused)
        );
    }
}

#[test]
fn ends_when_no_signature_comes() {
    let mut world = world(&rustls::version::TLS13);
    let mut client = connection(&world, "bao.example", &world.ca);
    let sign: SignCallback = Rc::new(|scheme, _| {
        assert_eq!(scheme, SignatureScheme::ECDSA_NISTP256_SHA256);
        None
    });
    assert!(pump(&mut client, &mut world.server, &sign).is_err());
}

#[test]
fn cuts_off_a_server_that_sends_too_much() {
    let mut world = world(&rustls::version::TLS13);
    let mut client = connection(&world, "bao.example", &world.ca);
    let sign = signer(&world.client.key);
    pump(&mut client, &mut world.server, &sign).unwrap();
    world.server.writer().write_all(&[0; 1001]).unwrap();
    assert_eq!(
        pump(&mut client, &mut world.server, &sign),
        Err(Failure::TooLarge)
    );
}

#[test]
fn refuses_options_that_cannot_work() {
    let world = world(&rustls::version::TLS13);
    let options = |server_name: &str, ca: Vec<Vec<u8>>, chain: Vec<Vec<u8>>| Options {
        server_name: server_name.to_owned(),
        ca,
        chain,
        schemes: vec![ECDSA_P256],
        max_plain_bytes: 1000,
    };
    let (ca, chain) = (
        vec![world.ca.der().to_vec()],
        vec![world.client.certificate.der().to_vec()],
    );
    for (bad, which) in [
        (options("not a name", ca.clone(), chain.clone()), "server_name"),
        (options("bao.example", Vec::new(), chain.clone()), "ca"),
        (options("bao.example", vec![vec![1, 2, 3]], chain), "ca"),
        (options("bao.example", ca, Vec::new()), "chain"),
    ] {
        assert_eq!(Connection::new(bad).err(), Some(Failure::Options(which)));
    }
}
