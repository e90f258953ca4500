//! `/healthz`: whether the exchange lives, for load balancers and service managers.
//!
//! Invariants: 200 means that every event loop and the store answered just now; 503 names what did not. It tells nothing
//! else, so anyone may ask.
//! Not here: figures (`metrics`).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Site;
use crate::counts::Facts;

pub(super) async fn healthz(State(site): State<Arc<Site>>) -> Response {
    let Some(facts) = read(&site).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (status, text) = verdict(&facts);
    let plain = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
    (status, [plain, (header::CACHE_CONTROL, "no-store")], text).into_response()
}

/// Asks the instruments, on a thread that may wait.
pub(super) async fn read(site: &Arc<Site>) -> Option<Facts> {
    // One reading at a time: a thousand who ask cost a thousand waits, not a thousand threads.
    let _turn = site.reading.acquire().await.ok()?;
    let read = Arc::clone(&site.instruments.read);
    tokio::task::spawn_blocking(move || read()).await.ok()
}

fn verdict(facts: &Facts) -> (StatusCode, String) {
    let silent: Vec<usize> = (0..facts.loops.len()).filter(|&index| facts.loops[index].is_none()).collect();
    if silent.is_empty() && facts.store_answers {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let mut text = String::new();
    for index in silent {
        text += &format!("event loop {index} does not answer\n");
    }
    if !facts.store_answers {
        text += "the store does not answer\n";
    }
    (StatusCode::SERVICE_UNAVAILABLE, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::LoopCounts;

    #[test]
    fn who_does_not_answer_is_named() {
        let lively = || Some(Box::<LoopCounts>::default());
        let well = Facts { loops: vec![lively(), lively()], store_answers: true, ..Facts::default() };
        assert_eq!(verdict(&well), (StatusCode::OK, "ok\n".to_owned()));
        let ill = Facts { loops: vec![lively(), None], store_answers: false, ..Facts::default() };
        let said = "event loop 1 does not answer\nthe store does not answer\n";
        assert_eq!(verdict(&ill), (StatusCode::SERVICE_UNAVAILABLE, said.to_owned()));
    }
}
