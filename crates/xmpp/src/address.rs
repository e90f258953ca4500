//! Addresses: numbers, bare and full JIDs, as checked values. The only place that parses them.
//! Spec: RFC 7622 (the JID), RFC 8265 (UsernameCaseMapped, OpaqueString), RFC 5892 through `idna` for the domain.
//! Invariants: a `Jid`'s text is normalised, so equal addresses are equal bytes; each part is 1 to 1023 octets.
//!   An address that is plain ASCII and already normal is checked without allocating.
//! Not here: whether an account exists, or whose domain it is.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::str::FromStr;

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped};

/// Longest localpart, domainpart or resourcepart in octets (RFC 7622 3.1).
pub const PART_MAX: usize = 1023;

/// Most digits a number has: every number is then exact in JSON and in JavaScript.
pub const NUMBER_DIGITS_MAX: usize = 15;

/// An account's name: decimal digits without sign or leading zero, `10001` and up when the exchange chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountNumber(NonZeroU64);

impl AccountNumber {
    /// The first number an exchange gives.
    pub const FIRST: AccountNumber = AccountNumber(NonZeroU64::new(10_001).expect("not zero"));

    /// The greatest number there can be; nobody has come near it.
    pub const MAX: AccountNumber =
        AccountNumber(NonZeroU64::new(10_u64.pow(NUMBER_DIGITS_MAX as u32) - 1).expect("not zero"));

    /// The number with this value, if it has at most fifteen digits and is not zero.
    #[must_use]
    pub fn new(value: u64) -> Option<AccountNumber> {
        if value > Self::MAX.get() {
            return None;
        }
        NonZeroU64::new(value).map(AccountNumber)
    }

    /// Its value.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// Parses exactly the digits that `Display` prints, and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<AccountNumber> {
        let digits = text.as_bytes();
        if digits.is_empty() || digits.len() > NUMBER_DIGITS_MAX || digits[0] == b'0' {
            return None;
        }
        let value = digits
            .iter()
            .try_fold(0_u64, |value, b| b.is_ascii_digit().then(|| value * 10 + u64::from(b - b'0')))?;
        NonZeroU64::new(value).map(AccountNumber)
    }
}

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AccountNumber {
    type Err = NumberError;
    fn from_str(text: &str) -> Result<AccountNumber, NumberError> {
        AccountNumber::parse(text).ok_or(NumberError)
    }
}

/// The text is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberError;

impl fmt::Display for NumberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number: 1 to 15 digits without a leading zero")
    }
}

impl std::error::Error for NumberError {}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JidError {
    /// The part before `@` is empty, too long or holds what UsernameCaseMapped or RFC 7622 3.3.1 forbids.
    Local,
    /// The domain is empty, too long or no domain name, IPv4 or bracketed IPv6 address.
    Domain,
    /// The part after `/` is empty, too long or holds what OpaqueString forbids.
    Resource,
}

impl fmt::Display for JidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JidError::Local => "the part before @ is not allowed in an address",
            JidError::Domain => "the domain is not allowed in an address",
            JidError::Resource => "the part after / is not allowed in an address",
        })
    }
}

impl std::error::Error for JidError {}

/// A checked and normalised address that borrows the text it was read from wherever that was already normal.
#[derive(Clone, Debug)]
pub struct JidRef<'a> {
    text: Cow<'a, str>,
    // `local@domain/resource`: where the domain starts, and where the bare address ends.
    domain_at: u16,
    bare_len: u16,
}

impl<'a> JidRef<'a> {
    /// Checks and normalises `text` (RFC 7622 3.1, 3.2: the resource is what follows the first `/`, the local part
    /// what precedes the first `@` before it).
    ///
    /// # Errors
    /// Says which part is not allowed.
    pub fn parse(text: &'a str) -> Result<JidRef<'a>, JidError> {
        let bytes = text.as_bytes();
        let slash = memchr::memchr(b'/', bytes);
        let bare = &text[..slash.unwrap_or(text.len())];
        let at = memchr::memchr(b'@', bare.as_bytes());
        let local = at.map(|at| local_part(&bare[..at])).transpose()?;
        let domain = domain_part(&bare[at.map_or(0, |at| at + 1)..])?;
        let resource = slash.map(|slash| resource_part(&text[slash + 1..])).transpose()?;
        let domain_at = local.as_ref().map_or(0, |local| local.len() + 1);
        let bare_len = domain_at + domain.len();
        let normal = matches!(local, None | Some(Cow::Borrowed(_)))
            && matches!(domain, Cow::Borrowed(_))
            && matches!(resource, None | Some(Cow::Borrowed(_)))
            // A trailing dot of the domain was dropped when the parts are shorter than the text (RFC 7622 3.2).
            && bare_len == bare.len();
        let text = if normal {
            Cow::Borrowed(text)
        } else {
            let mut whole = String::with_capacity(text.len());
            if let Some(local) = &local {
                whole.push_str(local);
                whole.push('@');
            }
            whole.push_str(&domain);
            if let Some(resource) = &resource {
                whole.push('/');
                whole.push_str(resource);
            }
            Cow::Owned(whole)
        };
        // Three parts of at most PART_MAX octets keep both offsets far below 65,536.
        Ok(JidRef { text, domain_at: domain_at as u16, bare_len: bare_len as u16 })
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The localpart.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.domain_at.checked_sub(1).map(|end| &self.text[..usize::from(end)])
    }

    /// The localpart as a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<AccountNumber> {
        AccountNumber::parse(self.local()?)
    }

    /// The domainpart.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.domain_at)..usize::from(self.bare_len)]
    }

    /// The resourcepart.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.bare_len) + 1..)
    }

    /// The address without its resource.
    #[must_use]
    pub fn bare(&self) -> &str {
        &self.text[..usize::from(self.bare_len)]
    }

    /// The same address, owned.
    #[must_use]
    pub fn into_owned(self) -> Jid {
        Jid { text: self.text.into(), domain_at: self.domain_at, bare_len: self.bare_len }
    }
}

/// A checked and normalised address: bare when it has no resource, full when it has one.
#[derive(Clone)]
pub struct Jid {
    text: Box<str>,
    domain_at: u16,
    bare_len: u16,
}

impl Jid {
    /// Checks and normalises `text`.
    ///
    /// # Errors
    /// Says which part is not allowed.
    pub fn parse(text: &str) -> Result<Jid, JidError> {
        JidRef::parse(text).map(JidRef::into_owned)
    }

    /// `number@domain/resource`, where the domain was taken from a checked address and the resource is raw.
    ///
    /// # Errors
    /// Says which part is not allowed.
    pub fn of_number(number: AccountNumber, domain: &str, resource: Option<&str>) -> Result<Jid, JidError> {
        let text = match resource {
            Some(resource) => format!("{number}@{domain}/{resource}"),
            None => format!("{number}@{domain}"),
        };
        Jid::parse(&text)
    }

    /// A view that costs nothing.
    #[must_use]
    pub fn borrowed(&self) -> JidRef<'_> {
        JidRef { text: Cow::Borrowed(&self.text), domain_at: self.domain_at, bare_len: self.bare_len }
    }

    /// The whole address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The localpart.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.domain_at.checked_sub(1).map(|end| &self.text[..usize::from(end)])
    }

    /// The localpart as a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<AccountNumber> {
        AccountNumber::parse(self.local()?)
    }

    /// The domainpart.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.domain_at)..usize::from(self.bare_len)]
    }

    /// The resourcepart.
    #[must_use]
    pub fn resource(&self) -> Option<&str> {
        self.text.get(usize::from(self.bare_len) + 1..)
    }

    /// The address without its resource, as text.
    #[must_use]
    pub fn bare(&self) -> &str {
        &self.text[..usize::from(self.bare_len)]
    }

    /// The address without its resource.
    #[must_use]
    pub fn to_bare(&self) -> BareJid {
        BareJid { text: self.bare().into(), domain_at: self.domain_at }
    }
}

/// A checked and normalised address without a resource.
#[derive(Clone)]
pub struct BareJid {
    text: Box<str>,
    domain_at: u16,
}

impl BareJid {
    /// Checks and normalises `text`, which must have no resource.
    ///
    /// # Errors
    /// Says which part is not allowed; a resource is never allowed.
    pub fn parse(text: &str) -> Result<BareJid, JidError> {
        let jid = JidRef::parse(text)?;
        if jid.resource().is_some() {
            return Err(JidError::Resource);
        }
        Ok(jid.into_owned().to_bare())
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The localpart.
    #[must_use]
    pub fn local(&self) -> Option<&str> {
        self.domain_at.checked_sub(1).map(|end| &self.text[..usize::from(end)])
    }

    /// The localpart as a number, if it is one.
    #[must_use]
    pub fn number(&self) -> Option<AccountNumber> {
        AccountNumber::parse(self.local()?)
    }

    /// The domainpart.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.text[usize::from(self.domain_at)..]
    }

    /// This address with a resource added, which is checked and normalised.
    ///
    /// # Errors
    /// The resource is not allowed.
    pub fn with_resource(&self, resource: &str) -> Result<Jid, JidError> {
        let resource = resource_part(resource)?;
        let bare_len = self.text.len() as u16;
        Ok(Jid { text: format!("{}/{resource}", self.text).into(), domain_at: self.domain_at, bare_len })
    }
}

/// Equality, order, hash and printing are those of the normalised text.
macro_rules! as_text {
    ($name:ident $(<$life:lifetime>)?) => {
        impl PartialEq for $name $(<$life>)? {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }
        impl Eq for $name $(<$life>)? {}
        impl Hash for $name $(<$life>)? {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }
        impl PartialOrd for $name $(<$life>)? {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name $(<$life>)? {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.as_str().cmp(other.as_str())
            }
        }
        impl Borrow<str> for $name $(<$life>)? {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }
        impl fmt::Display for $name $(<$life>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
as_text!(JidRef<'_>);
as_text!(Jid);
as_text!(BareJid);

/// `Debug` prints the text: an address in a failed assertion should read like one.
impl fmt::Debug for Jid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jid({})", self.text)
    }
}

impl fmt::Debug for BareJid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BareJid({})", self.text)
    }
}

impl FromStr for Jid {
    type Err = JidError;
    fn from_str(text: &str) -> Result<Jid, JidError> {
        Jid::parse(text)
    }
}

impl FromStr for BareJid {
    type Err = JidError;
    fn from_str(text: &str) -> Result<BareJid, JidError> {
        BareJid::parse(text)
    }
}

fn fits(part: &str) -> bool {
    (1..=PART_MAX).contains(&part.len())
}

// RFC 7622 3.3: UsernameCaseMapped, and none of " & ' / : < > @ either.
fn local_part(part: &str) -> Result<Cow<'_, str>, JidError> {
    let forbidden = |b: u8| matches!(b, b'"' | b'&' | b'\'' | b'/' | b':' | b'<' | b'>' | b'@');
    if !fits(part) {
        return Err(JidError::Local);
    }
    let plain = |b: u8| b.is_ascii_graphic() && !b.is_ascii_uppercase() && !forbidden(b);
    if part.bytes().all(plain) {
        return Ok(Cow::Borrowed(part));
    }
    let mapped = UsernameCaseMapped::enforce(part).map_err(|_| JidError::Local)?;
    // RFC 8264 7: the rules hold for what comes out. Normalising can make a character whose context forbids it, so what came
    // out must pass, unchanged, itself.
    let stays = UsernameCaseMapped::enforce(&*mapped).is_ok_and(|again| again == mapped);
    if !stays || !fits(&mapped) || mapped.bytes().any(forbidden) {
        return Err(JidError::Local);
    }
    Ok(if mapped == part { Cow::Borrowed(part) } else { Cow::Owned(mapped.into_owned()) })
}

// RFC 7622 3.4: OpaqueString.
fn resource_part(part: &str) -> Result<Cow<'_, str>, JidError> {
    if !fits(part) {
        return Err(JidError::Resource);
    }
    if part.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Ok(Cow::Borrowed(part));
    }
    let mapped = OpaqueString::enforce(part).map_err(|_| JidError::Resource)?;
    // As in the localpart: U+0387 becomes U+00B7, which stands only between two l (RFC 5892 A.3).
    let stays = OpaqueString::enforce(&*mapped).is_ok_and(|again| again == mapped);
    if !stays || !fits(&mapped) {
        return Err(JidError::Resource);
    }
    Ok(if mapped == part { Cow::Borrowed(part) } else { Cow::Owned(mapped.into_owned()) })
}

// RFC 7622 3.2: a domain name of U-labels, an IPv4 address, or an IPv6 address in brackets; a final dot is dropped.
fn domain_part(part: &str) -> Result<Cow<'_, str>, JidError> {
    let part = part.strip_suffix('.').unwrap_or(part);
    if !fits(part) {
        return Err(JidError::Domain);
    }
    if let Some(inside) = part.strip_prefix('[') {
        let address: std::net::Ipv6Addr =
            inside.strip_suffix(']').and_then(|ip| ip.parse().ok()).ok_or(JidError::Domain)?;
        let normal = format!("[{address}]");
        return Ok(if normal == part { Cow::Borrowed(part) } else { Cow::Owned(normal) });
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let plain_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !label.starts_with("xn--")
    };
    if part.split('.').all(plain_label) {
        return Ok(Cow::Borrowed(part));
    }
    // UTS 46 maps case and width, composes, turns A-labels into U-labels and checks each against IDNA2008.
    let uts46 = |text: &[u8]| {
        let (mapped, verdict) = idna::uts46::Uts46::new().to_unicode(
            text,
            idna::AsciiDenyList::STD3,
            idna::uts46::Hyphens::CheckFirstLast,
        );
        verdict.is_ok().then(|| mapped.into_owned())
    };
    let mapped = uts46(part.as_bytes()).ok_or(JidError::Domain)?;
    // An A-label may hold what looks like another: what came out must pass, unchanged, itself.
    let stays = uts46(mapped.as_bytes()).is_some_and(|again| again == mapped);
    if !stays || !fits(&mapped) || mapped.split('.').any(|label| label.is_empty() || label.len() > 252) {
        return Err(JidError::Domain);
    }
    Ok(if mapped == part { Cow::Borrowed(part) } else { Cow::Owned(mapped) })
}

#[cfg(test)]
mod tests;
