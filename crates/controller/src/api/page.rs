//! Pages: how many, how large, and the tokens that say where the next one begins.
//!
//! A token is opaque, URL-safe, and says where a list was (a key, never an offset, so that inserts and deletes neither
//! repeat nor skip anything that stays). It carries the schema version, the kind of list, a hash of everything else in
//! the request (AIP-158: a changed filter with an old token is an error), and a MAC: a position is never taken from
//! outside unchecked. It grants nothing; every page is authorised anew.
//!
//! The key is drawn at random for each life of the controller. That keeps it out of configuration and database, at a
//! price: after a restart, or at another controller, a token is refused with a reason that says so, and the caller
//! begins anew. Pages are fetched within seconds of each other, so the price is small. The resume tokens of watches are
//! made the same way; their positions mean nothing in another life anyhow.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tonic::Status;

use super::status::{self, Reason};

/// What the layout of tokens is; another version is refused.
const VERSION: u8 = 1;
/// Bytes of the MAC: 128 bits of HMAC-SHA-256, as RFC 2104 (section 5) allows.
const MAC: usize = 16;
/// Bytes before the position: version, kind, life, query.
const HEAD: usize = 2 + 8 + 8;
/// Longest token taken apart, in characters: the longest position is three names of 63 bytes, their collections and two
/// numbers.
const MAX_TOKEN: usize = 512;

/// Most messages of one page.
pub const MAX_PAGE: usize = 1_000;
/// Messages of a page when nothing is said.
pub const DEFAULT_PAGE: usize = 100;
/// Most bytes of one page: clients refuse more than 4 MiB unless told otherwise.
pub const MAX_BYTES: usize = 3 << 20;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ListAgents.
    Agents = 1,
    /// ListGateways.
    Gateways = 2,
    /// ListInstances.
    Instances = 3,
    /// ListOrders.
    Orders = 4,
    /// ListPolicies.
    Policies = 5,
    /// ListPauses.
    Pauses = 6,
    /// ListEvents.
    Events = 7,
    /// Watch.
    Watch = 8,
    /// ListSessions.
    Sessions = 9,
    /// ListSessionCloses.
    SessionCloses = 10,
    /// ListSessionCounts.
    SessionCounts = 11,
}

/// Everything in a request that decides what is listed, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query([u8; 8]);

impl Query {
    /// Of these parts of the request, in a fixed order.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // With its length, so that ("ab", "c") and ("a", "bc") differ.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut out = [0; 8];
        out.copy_from_slice(&digest[..8]);
        Self(out)
    }
}

/// Why a token was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not one of ours, or altered.
    #[error("is not a token that this API gave out; begin anew without it")]
    Invalid,
    /// From another life.
    #[error(
        "is not from this life of the controller (it was restarted, or this is another one); begin anew without it"
    )]
    OtherLife,
    /// Of another request.
    #[error("belongs to a request with another filter, parent or order; begin anew without it")]
    OtherQuery,
}

impl From<TokenError> for Status {
    fn from(error: TokenError) -> Self {
        let reason = match error {
            TokenError::Invalid => Reason::PageTokenInvalid,
            TokenError::OtherLife => Reason::PageTokenOutdated,
            TokenError::OtherQuery => Reason::PageTokenMismatch,
        };
        status::bad_field_for(reason, "page_token", &error.to_string(), &[])
    }
}

/// Makes and checks tokens.
#[derive(Clone)]
pub struct Tokens {
    key: [u8; 32],
    life: [u8; 8],
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// With this key, for this life. Both are drawn at random by whoever starts the API.
    #[must_use]
    pub fn new(key: [u8; 32], life: [u8; 8]) -> Self {
        Self { key, life }
    }

    /// A token for a position.
    #[must_use]
    pub fn seal(&self, kind: Kind, query: Query, position: &[u8]) -> String {
        let mut bytes = Vec::with_capacity(HEAD + position.len() + MAC);
        bytes.extend([VERSION, kind as u8]);
        bytes.extend(self.life);
        bytes.extend(query.0);
        bytes.extend(position);
        let mac = self.mac(&bytes);
        bytes.extend(mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The position in a token.
    ///
    /// # Errors
    /// When it is not one of ours, of another life, or of another request.
    pub fn open(&self, kind: Kind, query: Query, token: &str) -> Result<Vec<u8>, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Invalid);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| TokenError::Invalid)?;
        let (body, mac) =
            bytes.len().checked_sub(MAC).map(|at| bytes.split_at(at)).ok_or(TokenError::Invalid)?;
        let (head, position) = body.split_at_checked(HEAD).ok_or(TokenError::Invalid)?;
        if head[0] != VERSION {
            return Err(TokenError::Invalid);
        }
        if head[2..10] != self.life {
            return Err(TokenError::OtherLife);
        }
        if !bool::from(self.mac(body).ct_eq(mac)) {
            return Err(TokenError::Invalid);
        }
        if head[1] != kind as u8 || head[10..HEAD] != query.0 {
            return Err(TokenError::OtherQuery);
        }
        Ok(position.to_vec())
    }

    /// As [`open`](Self::open), for a page token that may be empty and whose position is text.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with the reason.
    pub fn position(&self, kind: Kind, query: Query, token: &str) -> Result<Option<String>, Status> {
        if token.is_empty() {
            return Ok(None);
        }
        let position = self.open(kind, query, token)?;
        // Its MAC is right, so we wrote it, and we write text.
        String::from_utf8(position).map(Some).map_err(|_| TokenError::Invalid.into())
    }

    fn mac(&self, body: &[u8]) -> [u8; MAC] {
        // Not keyed by a slice of unknown length, so there is no error to answer: the type fixes 32 bytes, which is
        // shorter than the block and is padded as RFC 2104 says.
        let mut block = [0u8; 64];
        block[..32].copy_from_slice(&self.key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(body);
        let full = mac.finalize().into_bytes();
        let mut out = [0; MAC];
        out.copy_from_slice(&full[..MAC]);
        out
    }
}

/// How many a page may hold (AIP-158): negative is an error, 0 means the default, more than the most means the most.
///
/// # Errors
/// INVALID_ARGUMENT for a negative number.
pub fn size(page_size: i32) -> Result<usize, Status> {
    size_or("page_size", page_size, DEFAULT_PAGE)
}

/// The same for a field of another name, with another default.
///
/// # Errors
/// INVALID_ARGUMENT for a negative number.
pub fn size_or(field: &str, size: i32, default: usize) -> Result<usize, Status> {
    match usize::try_from(size) {
        Err(_) => Err(status::bad_field(field, &format!("{size} is negative; 0 means {default}"))),
        Ok(0) => Ok(default),
        Ok(n) => Ok(n.min(MAX_PAGE)),
    }
}

/// A page being filled.
#[derive(Debug)]
pub struct Page<T> {
    items: Vec<T>,
    size: usize,
    bytes: usize,
}

impl<T: prost::Message> Page<T> {
    /// An empty page for so many.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { items: Vec::new(), size, bytes: 0 }
    }

    /// Adds one if there is room; the first always has. Returns it otherwise.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        // Tag and length in front of each: at most 1 + 5 bytes.
        let bytes = item.encoded_len() + 6;
        let full = self.items.len() >= self.size || self.bytes + bytes > MAX_BYTES;
        if full && !self.items.is_empty() {
            return Err(item);
        }
        self.bytes += bytes;
        self.items.push(item);
        Ok(())
    }

    /// Whether as many are in as were asked for.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.items.len() >= self.size
    }

    /// How many are in.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What is in.
    #[must_use]
    pub fn into_items(self) -> Vec<T> {
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mooring_proto::v1;
    use proptest::prelude::*;

    fn tokens() -> Tokens {
        Tokens::new([7; 32], [1; 8])
    }

    #[test]
    fn a_token_opens_only_for_the_request_and_life_it_was_made_for() {
        let t = tokens();
        let query = Query::of(&["agents/-", "phase = DOWN"]);
        let token = t.seal(Kind::Instances, query, b"agents/a");
        assert_eq!(t.open(Kind::Instances, query, &token).unwrap(), b"agents/a");
        assert_eq!(
            t.open(Kind::Instances, Query::of(&["agents/-", ""]), &token),
            Err(TokenError::OtherQuery)
        );
        assert_eq!(t.open(Kind::Agents, query, &token), Err(TokenError::OtherQuery));
        let next_life = Tokens::new([8; 32], [2; 8]);
        assert_eq!(next_life.open(Kind::Instances, query, &token), Err(TokenError::OtherLife));
        // Somebody who knows the life's name but not its key.
        let forger = Tokens::new([9; 32], [1; 8]).seal(Kind::Instances, query, b"agents/b");
        assert_eq!(t.open(Kind::Instances, query, &forger), Err(TokenError::Invalid));
        assert!(t.position(Kind::Agents, query, "").unwrap().is_none());
    }

    #[test]
    fn the_hash_tells_the_parts_apart() {
        assert_ne!(Query::of(&["ab", "c"]), Query::of(&["a", "bc"]));
    }

    #[test]
    fn the_mac_is_that_of_rfc_4231_test_case_1() {
        // The published key is `0x0b` × 20; HMAC pads a key with zeros to its block, so ours of 32 bytes that ends in
        // zeros is the same key.
        let mut key = [0u8; 32];
        key[..20].fill(0x0b);
        let mac = Tokens::new(key, [0; 8]).mac(b"Hi There");
        let want =
            [0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b];
        assert_eq!(mac, want);
    }

    #[test]
    fn sizes_follow_aip_158() {
        assert_eq!((size(0).unwrap(), size(1).unwrap(), size(5_000).unwrap()), (DEFAULT_PAGE, 1, MAX_PAGE));
        assert_eq!(size(-1).unwrap_err().code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn a_page_ends_by_number_and_by_bytes_but_always_holds_one() {
        let mut page = Page::new(2);
        let event = |n: usize| v1::Event { message: "x".repeat(n), ..v1::Event::default() };
        assert!(
            page.push(event(MAX_BYTES + 1)).is_ok(),
            "one that is too large alone would never be delivered"
        );
        assert!(page.push(event(1)).is_err());
        let mut page = Page::new(2);
        assert!(page.push(event(1)).is_ok() && !page.is_full());
        assert!(page.push(event(1)).is_ok() && page.is_full());
        assert!(page.push(event(1)).is_err());
        assert_eq!((page.len(), page.into_items().len()), (2, 2));
    }

    proptest! {
        #[test]
        fn any_change_to_a_token_is_noticed(position in proptest::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), flip in 1u8..=255) {
            let t = tokens();
            let query = Query::of(&["x"]);
            let token = t.seal(Kind::Events, query, &position);
            prop_assert_eq!(t.open(Kind::Events, query, &token).unwrap(), position);
            let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert!(t.open(Kind::Events, query, &URL_SAFE_NO_PAD.encode(bytes)).is_err());
        }

        #[test]
        fn no_text_makes_it_panic(token in ".{0,600}") {
            prop_assert!(tokens().open(Kind::Events, Query::of(&[]), &token).is_err());
        }
    }
}
