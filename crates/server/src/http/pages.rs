//! Pages: the web client's files, as they are sent: with their type, a tag of their content, and compressed.
//! Spec: RFC 9110 8.8.3 (ETag), 12.5.3 (Accept-Encoding), 13.1.2 (If-None-Match); CSP 3; Trusted Types.
//! Owns: the files of `web/`, which are inside the binary. Invariants: nothing outside `web/` is ever sent; every document
//! and worker carries the policy that lets no script and no style run but ours.
//! Not here: what the page does (`web/`), the WebSocket it speaks over (`http`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::OnceLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

#[derive(RustEmbed)]
#[folder = "../../web"]
#[include = "*.html"]
#[include = "*.js"]
#[include = "*.mjs"]
#[include = "*.css"]
#[include = "*.svg"]
#[include = "*.png"]
#[include = "*.webmanifest"]
struct Files;

/// What the page may do: run its own scripts, use its own styles, speak with its own host. Nothing inline, nothing from
/// elsewhere; text becomes markup or script nowhere but in the one policy of `web/src/trusted.js`.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
    connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types switchboard";

/// The page itself.
const PAGE: &str = "index.html";
/// The service worker, which is told its version and its files.
const WORKER: &str = "sw.js";
/// Where the page's scripts begin.
const MAIN: &str = "src/main.js";

/// Smaller than this is sent as it is: a packet is a packet.
const COMPRESSED_MIN: usize = 1024;

/// One file, ready to be sent.
struct Asset {
    kind: &'static str,
    tag: HeaderValue,
    content: Bytes,
    /// The same in gzip, made when it is first asked for; `None` where that would not be smaller.
    packed: OnceLock<Option<Bytes>>,
}

/// Every file by its path, without the leading slash.
pub(crate) struct Pages {
    assets: BTreeMap<String, Asset>,
}

impl Pages {
    /// Reads the files, and fills in what only the running exchange knows: its domain, and the port of HTTPS, if any.
    pub(crate) fn new(domain: &str, https: Option<u16>) -> Self {
        let mut files: BTreeMap<String, Vec<u8>> = Files::iter()
            .filter_map(|path| Some((path.to_string(), Files::get(&path)?.data.into_owned())))
            .collect();
        let preload: String = imported(&files)
            .iter()
            .map(|path| format!("<link rel=\"modulepreload\" href=\"/{path}\">\n    "))
            .collect();
        let https = https.map(|port| port.to_string()).unwrap_or_default();
        fill(
            &mut files,
            PAGE,
            &[
                ("{{domain}}", &super::escape(domain)),
                ("{{https}}", &https),
                ("{{preload}}", preload.trim_end()),
            ],
        );
        let mut all = Sha256::new();
        for (path, content) in &files {
            all.update(path.as_bytes());
            all.update(content);
        }
        let version = tag_of(&all.finalize());
        let shell: Vec<String> =
            files.keys().filter(|path| *path != WORKER).map(|path| address(path)).collect();
        fill(&mut files, WORKER, &[("{{version}}", &version), ("{{files}}", &shell.join(" "))]);
        let assets = files.into_iter().map(|(path, content)| {
            let tag = format!("\"{}\"", tag_of(&Sha256::digest(&content)));
            let asset = Asset {
                kind: kind_of(&path),
                tag: HeaderValue::from_str(&tag).expect("base64 is visible ASCII"),
                content: content.into(),
                packed: OnceLock::new(),
            };
            (path, asset)
        });
        Self { assets: assets.collect() }
    }

    /// The answer to a request for `path`, which begins with a slash.
    pub(crate) fn answer(&self, path: &str, headers: &HeaderMap) -> Response {
        let name = path.strip_prefix('/').unwrap_or(path);
        let name = if name.is_empty() { PAGE } else { name };
        let mut response = match self.assets.get(name) {
            Some(asset) => asset.answer(headers),
            None => (StatusCode::NOT_FOUND, "there is nothing here\n").into_response(),
        };
        let rows = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
            (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        ];
        // Documents and workers are what a policy governs; on sixty small files it would weigh more than they do.
        let governed = !matches!(name.rsplit_once('.'), Some((_, "css" | "mjs" | "js"))) || name == WORKER;
        let rows = if governed { &rows[..] } else { &rows[..1] };
        for (name, value) in rows {
            response.headers_mut().insert(name.clone(), HeaderValue::from_static(value));
        }
        response
    }
}

impl Asset {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let known = headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            // RFC 9110 13.1.2: the comparison is weak.
            .any(|tag| {
                tag.trim().trim_start_matches("W/").as_bytes() == self.tag.as_bytes() || tag.trim() == "*"
            });
        let packed = takes_gzip(headers).then(|| self.packed()).flatten();
        let mut response = match (known, packed) {
            (true, _) => StatusCode::NOT_MODIFIED.into_response(),
            (false, Some(packed)) => ([(header::CONTENT_ENCODING, "gzip")], packed.clone()).into_response(),
            (false, None) => self.content.clone().into_response(),
        };
        let out = response.headers_mut();
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        out.insert(header::ETAG, self.tag.clone());
        // Asked again each time, which costs one small answer; a new version of the exchange is seen at once.
        out.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        out.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        response
    }

    fn packed(&self) -> Option<&Bytes> {
        let packed = self.packed.get_or_init(|| {
            if self.content.len() < COMPRESSED_MIN || self.kind == "image/png" {
                return None;
            }
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            // Into memory nothing can fail; if it did, the file is sent as it is.
            encoder.write_all(&self.content).ok()?;
            let packed = encoder.finish().ok()?;
            (packed.len() < self.content.len()).then(|| packed.into())
        });
        packed.as_ref()
    }
}

/// RFC 9110 12.5.3, as far as browsers use it: `gzip`, unless it is given no weight.
fn takes_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut words = coding.split(';').map(str::trim);
            words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"))
                && !words.any(|word| matches!(word, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
        })
}

/// Where a file is fetched.
fn address(path: &str) -> String {
    if path == PAGE { "/".to_owned() } else { format!("/{path}") }
}

fn kind_of(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    }
}

fn tag_of(digest: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(&digest[..12])
}

/// Every module that the page's scripts import before they run. What they import later, when it is wanted
/// (`import(...)`), is not among them.
fn imported(files: &BTreeMap<String, Vec<u8>>) -> BTreeSet<String> {
    let mut found = BTreeSet::from([MAIN.to_owned()]);
    let mut open = vec![MAIN.to_owned()];
    while let Some(path) = open.pop() {
        let text = files.get(&path).map(|content| String::from_utf8_lossy(content)).unwrap_or_default();
        for (at, word) in text.match_indices(" from \"") {
            let rest = &text[at + word.len()..];
            let target = rest.split_once('"').and_then(|(target, _)| resolved(&path, target));
            if let Some(target) = target.filter(|target| files.contains_key(target))
                && found.insert(target.clone())
            {
                open.push(target);
            }
        }
    }
    found
}

/// A relative address, seen from a file.
fn resolved(from: &str, target: &str) -> Option<String> {
    let mut folders: Vec<&str> = from.split('/').collect();
    folders.pop();
    for step in target.split('/') {
        match step {
            "." => {}
            ".." => drop(folders.pop()?),
            name => folders.push(name),
        }
    }
    Some(folders.join("/"))
}

/// Replaces words of a file.
fn fill(files: &mut BTreeMap<String, Vec<u8>>, path: &str, words: &[(&str, &str)]) {
    let Some(content) = files.get_mut(path) else { return };
    let mut text = String::from_utf8_lossy(content).into_owned();
    for (word, value) in words {
        text = text.replace(word, value);
    }
    *content = text.into_bytes();
}
