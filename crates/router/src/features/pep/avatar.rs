//! Avatars: a picture that was published becomes the vCard's, and its hash is in every presence.
//!
//! Spec: XEP-0398 section 3.1 (from PEP to the vCard), 4 (presence); XEP-0084 (the two nodes), XEP-0153 (the hash).
//! Owns: nothing; the picture is a document of the vCard's space, the hash is the account's. Invariants: a picture whose
//! hash is not its id is not taken.
//! Not here: vCards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use store::{Answer as Stored, DocumentOp, Op, PepOp, Quota, Space, StoreError};
use xmpp::address::AccountNumber;
use xmpp::stanza::Stanza;
use xmpp::write;

use super::{Asked, Wait};
use crate::router::Router;
use crate::waiting::Waiting;

/// The node that says which picture it is.
pub(super) const METADATA: &str = "urn:xmpp:avatar:metadata";
/// The node that holds the picture.
const DATA: &str = "urn:xmpp:avatar:data";

/// The largest picture.
const QUOTA: Quota = Quota { documents_max: 4, bytes_max: 512 * 1024 };

impl Router {
    pub(super) fn read_metadata(&mut self, number: AccountNumber) {
        let op = PepOp::Items { number, node: METADATA.into(), ids: Vec::new(), limit: 1 };
        self.ask(Op::Pep(op), Waiting::Feature(Wait::pep(Asked::Metadata(number))));
    }

    pub(super) fn metadata_read(&mut self, number: AccountNumber, answer: Result<Stored, StoreError>) {
        let Ok(Stored::Items(items)) = answer else { return };
        let Some(item) = items.last() else { return };
        let Ok(metadata) = Stanza::parse(&item.payload) else { return };
        // 3.1: not one that lies elsewhere.
        let infos = metadata.children().filter(|info| info.is("info", METADATA) && info.attr("url").is_none());
        let info = infos.filter_map(|info| Some((info.attr("id")?, info.attr("type")))).next();
        let Some((id, kind)) = info else {
            // XEP-0084 4.2.4: none any more.
            return self.keep_picture(number, None);
        };
        let (id, kind) = (Box::from(&*id), Box::from(kind.as_deref().unwrap_or("image/png")));
        let op = PepOp::Items { number, node: DATA.into(), ids: vec![Box::clone(&id)], limit: 1 };
        self.ask(Op::Pep(op), Waiting::Feature(Wait::pep(Asked::Data { number, id, kind })));
    }

    pub(super) fn picture_read(
        &mut self,
        number: AccountNumber,
        id: &str,
        kind: &str,
        answer: Result<Stored, StoreError>,
    ) {
        let Ok(Stored::Items(items)) = answer else { return };
        let Some(data) = items.last().and_then(|item| Stanza::parse(&item.payload).ok()) else { return };
        let text: String = data.text().split_whitespace().collect();
        let Ok(picture) = STANDARD.decode(&text) else { return };
        let hash = xmpp::hex(Sha1::digest(&picture));
        if !hash.eq_ignore_ascii_case(id) {
            return;
        }
        let mut photo = Vec::new();
        write::open(&mut photo, "PHOTO").ns(xmpp::ns::VCARD).with(|out| {
            write::open(out, "TYPE").text(kind);
            write::open(out, "BINVAL").text(&text);
        });
        self.keep_picture(number, Some((photo, hash)));
    }

    fn keep_picture(&mut self, number: AccountNumber, picture: Option<(Vec<u8>, String)>) {
        let space = Space::VCard;
        let put = |name: &str, value| Op::Document(DocumentOp::Put {
            number,
            space,
            name: name.into(),
            value,
            quota: QUOTA,
        });
        let remove = |name: &str| Op::Document(DocumentOp::Remove { number, space, name: name.into() });
        let (hash, ops) = match picture {
            Some((photo, hash)) => {
                let ops = [put("avatar", photo), put("photo", hash.clone().into_bytes())];
                (Some(hash.into()), ops)
            }
            None => (None, [remove("avatar"), remove("photo")]),
        };
        for op in ops {
            self.ask(op, Waiting::Feature(Wait::pep(Asked::Picture)));
        }
        self.set_photo(number, hash);
    }
}
