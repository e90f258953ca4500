use super::*;

fn pages() -> Pages {
    Pages::new("chat.example", Some(5281))
}

fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
    rows.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

fn text(pages: &Pages, path: &str) -> String {
    String::from_utf8(pages.assets[path].content.to_vec()).unwrap()
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn the_page_knows_the_exchange_and_asks_for_every_module_at_once() {
    let pages = pages();
    let page = text(&pages, "index.html");
    assert!(page.contains("name=\"switchboard-domain\" content=\"chat.example\""));
    assert!(page.contains("name=\"switchboard-https\" content=\"5281\""));
    assert!(!page.contains("{{"), "a word was not filled in");
    let ahead = |path: &str| page.contains(&format!("<link rel=\"modulepreload\" href=\"/{path}\">"));
    for path in ["src/main.js", "src/engine.js", "src/xmpp/xml.js", "src/ui/list.js"] {
        assert!(ahead(path), "{path}");
    }
    // Wanted by few, or late.
    for path in ["src/lang/zh.js", "src/ui/lines.js", "vendor/lean-qr.mjs"] {
        assert!(pages.assets.contains_key(path) && !ahead(path), "{path}");
    }
    let hostile = Pages::new("\"><script>", None);
    assert!(text(&hostile, "index.html").contains("content=\"&quot;&gt;&lt;script&gt;\""));
}

#[test]
fn the_page_has_no_script_style_or_handler_of_its_own() {
    let page = text(&pages(), "index.html");
    for (at, _) in page.match_indices("<script") {
        assert!(page[at..].starts_with("<script type=\"module\" src=\"/src/main.js\"></script>"));
    }
    assert!(!page.contains("<style") && !page.contains("style=") && !page.contains("onload="));
    assert!(!page.contains("http:") && !page.contains("https:"), "the page asks nobody else for anything");
}

#[test]
fn the_worker_names_every_file_and_a_version_of_them() {
    let (one, other) = (pages(), Pages::new("other.example", None));
    let worker = text(&one, "sw.js");
    assert!(!worker.contains("{{"));
    for path in one.assets.keys().filter(|path| *path != WORKER) {
        assert!(worker.contains(&address(path)), "{path}");
    }
    assert_ne!(worker, text(&other, "sw.js"), "another page is another version");
    assert_eq!(worker, text(&pages(), "sw.js"));
}

#[test]
fn files_are_sent_with_type_tag_and_policy() {
    let pages = pages();
    let rows = [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/sw.js", "text/javascript; charset=utf-8"),
        ("/src/main.js", "text/javascript; charset=utf-8"),
        ("/vendor/lean-qr.mjs", "text/javascript; charset=utf-8"),
        ("/style/base.css", "text/css; charset=utf-8"),
        ("/icons/icon.svg", "image/svg+xml"),
        ("/icons/icon-192.png", "image/png"),
        ("/manifest.webmanifest", "application/manifest+json"),
    ];
    for (path, kind) in rows {
        let response = pages.answer(path, &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, "content-type"), kind, "{path}");
        assert_eq!(header(&response, "cache-control"), "no-cache");
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        let policy = header(&response, "content-security-policy");
        if matches!(path, "/" | "/index.html" | "/sw.js" | "/icons/icon.svg") {
            assert!(
                policy.contains("default-src 'none'") && policy.contains("script-src 'self';"),
                "{policy}"
            );
            assert!(!policy.contains("unsafe"), "{policy}");
        }
        // RFC 9110 13.1.2: who has it gets nothing more.
        let tag = header(&response, "etag").to_owned();
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let again = pages.answer(path, &headers(&[("if-none-match", &known)]));
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path} {known}");
            assert_eq!(header(&again, "etag"), tag);
        }
        let other = pages.answer(path, &headers(&[("if-none-match", "\"x\"")]));
        assert_eq!(other.status(), StatusCode::OK);
    }
}

#[test]
fn what_is_large_is_compressed_for_those_who_take_it() {
    use std::io::Read as _;
    let pages = pages();
    let rows = [("gzip", true), ("br, GZIP;q=0.5", true), ("gzip;q=0", false), ("br", false), ("", false)];
    for (accepted, packed) in rows {
        let response = pages.answer("/src/engine.js", &headers(&[("accept-encoding", accepted)]));
        assert_eq!(header(&response, "content-encoding") == "gzip", packed, "{accepted}");
        assert_eq!(header(&response, "vary"), "accept-encoding");
    }
    let asset = &pages.assets["src/engine.js"];
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&asset.packed().unwrap()[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, asset.content);
    assert!(pages.assets["icons/icon-192.png"].packed().is_none());
}

/// First paint under 100 KB: what the page and everything it asks for at once weigh on the wire, heads included.
#[test]
fn the_first_visit_transfers_less_than_100_kb() {
    let pages = pages();
    let page = text(&pages, "index.html");
    let asked = headers(&[("accept-encoding", "gzip")]);
    let sent: usize = pages
        .assets
        .iter()
        .filter(|(path, _)| path.as_str() == PAGE || page.contains(&format!("href=\"/{path}\"")))
        .map(|(path, asset)| {
            let response = pages.answer(&address(path), &asked);
            let head: usize =
                response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
            // The status line, and the length and the date that hyper adds.
            head + 17 + 24 + 37 + asset.packed().map_or(asset.content.len(), Bytes::len)
        })
        .sum();
    assert!(sent < 100_000, "{sent} octets");
}

#[test]
fn nothing_else_is_there() {
    let pages = pages();
    for path in ["/vendor/README.md", "/../Cargo.toml", "/src", "/src/", "//", "/etc/passwd", "/src/main.js/"]
    {
        let response = pages.answer(path, &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert!(!header(&response, "content-security-policy").is_empty());
    }
}
