//! A client key of which only the public half and the signature schemes are known here.
//!
//! `rustls` asks a [`Signer`] for the handshake signature, synchronously, from inside `process_new_packets`. A signer
//! must be `Send + Sync`, so it cannot hold the callback; [`with_callback`] lends it for the length of one call instead.

use std::cell::RefCell;
use std::rc::Rc;

use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use crate::failure::Failure;

/// Makes one signature over a whole message; `None` when it could not.
pub type SignCallback = Rc<dyn Fn(SignatureScheme, &[u8]) -> Option<Vec<u8>>>;

thread_local! {
    static LENT: RefCell<Option<SignCallback>> = const { RefCell::new(None) };
}

/// Runs `work` while signers on this thread can reach `callback`; takes it back on every way out, a panic included.
pub fn with_callback<T>(callback: SignCallback, work: impl FnOnce() -> T) -> T {
    struct TakeBack;
    impl Drop for TakeBack {
        fn drop(&mut self) {
            LENT.set(None);
        }
    }
    LENT.set(Some(callback));
    let _take_back = TakeBack;
    work()
}

/// The schemes that the key's keeper can do, best first. All are of one algorithm.
#[derive(Debug)]
pub struct RemoteKey {
    schemes: Vec<SignatureScheme>,
    algorithm: SignatureAlgorithm,
}

impl RemoteKey {
    /// Takes TLS `SignatureScheme` numbers (RFC 8446, section 4.2.3) in order of preference.
    pub fn new(numbers: &[u16]) -> Result<Self, Failure> {
        let schemes: Vec<_> = numbers.iter().copied().map(SignatureScheme::from).collect();
        let algorithms: Vec<_> = schemes.iter().map(|each| algorithm_of(*each)).collect();
        let first = algorithms.first().copied().flatten();
        match first {
            Some(algorithm) if algorithms.iter().all(|each| *each == first) => {
                Ok(Self { schemes, algorithm })
            }
            _ => Err(Failure::Options("schemes")),
        }
    }
}

const fn algorithm_of(scheme: SignatureScheme) -> Option<SignatureAlgorithm> {
    use SignatureScheme as S;
    match scheme {
        S::RSA_PKCS1_SHA256
        | S::RSA_PKCS1_SHA384
        | S::RSA_PKCS1_SHA512
        | S::RSA_PSS_SHA256
        | S::RSA_PSS_SHA384
        | S::RSA_PSS_SHA512 => Some(SignatureAlgorithm::RSA),
        S::ECDSA_NISTP256_SHA256 | S::ECDSA_NISTP384_SHA384 => Some(SignatureAlgorithm::ECDSA),
        _ => None,
    }
}

impl SigningKey for RemoteKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let scheme = self.schemes.iter().find(|each| offered.contains(each))?;
        Some(Box::new(RemoteSigner(*scheme)))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }
}

#[derive(Debug)]
struct RemoteSigner(SignatureScheme);

impl Signer for RemoteSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        // Cloned out first: the callback may run for long, and nothing stays borrowed meanwhile.
        LENT.with_borrow(Clone::clone)
            .and_then(|callback| callback(self.0, message))
            .ok_or_else(|| Error::General("no signature".to_owned()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_no_schemes_mixed_algorithms_and_unknown_numbers() {
        for numbers in [&[][..], &[0x0804, 0x0403], &[0x0201], &[0xffff]] {
            assert_eq!(RemoteKey::new(numbers).err(), Some(Failure::Options("schemes")));
        }
    }

    #[test]
    fn takes_the_first_scheme_that_the_server_offers() {
        let key = RemoteKey::new(&[0x0804, 0x0805, 0x0401]).ok();
        let chosen = key.and_then(|key| {
            key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PSS_SHA384])
        });
        assert_eq!(
            chosen.map(|signer| signer.scheme()),
            Some(SignatureScheme::RSA_PSS_SHA384)
        );
    }

    #[test]
    fn signs_only_while_a_callback_is_lent() {
        let signer = RemoteSigner(SignatureScheme::ECDSA_NISTP256_SHA256);
        assert!(signer.sign(b"message").is_err());
        let callback: SignCallback = Rc::new(|_, message| Some(message.to_vec()));
        let answer = with_callback(callback, || signer.sign(b"message"));
        assert_eq!(answer.ok().as_deref(), Some(&b"message"[..]));
        assert!(signer.sign(b"message").is_err());
    }
}
