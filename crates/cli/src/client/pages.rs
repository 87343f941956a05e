//! Lists come in pages; a command wants all of it, or the first so many.

use crate::failure::Outcome;

/// The largest page the controller gives.
pub(crate) const MAX_PAGE: usize = 1_000;

/// Gathers pages until there are no more or `limit` is reached, and gives the token of the page after it (empty at the
/// end). `page` fetches one, given its size and token.
pub(crate) async fn pages<T>(
    limit: Option<usize>,
    mut page: impl AsyncFnMut(i32, String) -> Outcome<(Vec<T>, String)>,
) -> Outcome<(Vec<T>, String)> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let wanted = limit.map_or(MAX_PAGE, |limit| limit.saturating_sub(all.len()).min(MAX_PAGE));
        if wanted == 0 {
            return Ok((all, token));
        }
        let (items, next) = page(i32::try_from(wanted).unwrap_or(i32::MAX), token.clone()).await?;
        all.extend(items);
        // A token that repeats itself would make this loop endless.
        if next.is_empty() || next == token {
            return Ok((all, String::new()));
        }
        token = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of `total` numbers.
    async fn list(total: usize, limit: Option<usize>) -> (Vec<usize>, String, usize) {
        let mut calls = 0;
        let (all, token) = pages(limit, async |size, token: String| {
            calls += 1;
            let from: usize = if token.is_empty() { 0 } else { token.parse().unwrap() };
            let to = (from + usize::try_from(size).unwrap()).min(total);
            Ok(((from..to).collect(), if to == total { String::new() } else { to.to_string() }))
        })
        .await
        .unwrap();
        (all, token, calls)
    }

    #[tokio::test]
    async fn all_pages_or_so_many() {
        let (all, token, calls) = list(2_500, None).await;
        assert_eq!((all, token.as_str(), calls), ((0..2_500).collect(), "", 3));
        let (some, token, calls) = list(2_500, Some(1_200)).await;
        assert_eq!((some.len(), token.as_str(), calls), (1_200, "1200", 2));
        assert_eq!(list(0, None).await.2, 1);
    }

    #[tokio::test]
    async fn a_server_that_never_ends_does_not_hang_us() {
        let mut calls = 0;
        let (all, _) = pages(None, async |_, _| {
            calls += 1;
            Ok((vec![1], "again".to_owned()))
        })
        .await
        .unwrap();
        assert_eq!(all.len(), 2);
    }
}
