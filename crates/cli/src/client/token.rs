//! The operator's token and language, put on every call. The token is never shown, not even by `Debug`.

use std::path::Path;

use mooring_core::cause::Lang;
use mooring_runtime::config::SecretFile;
use mooring_runtime::lifecycle::error_chain;
use secrecy::{ExposeSecret as _, SecretString};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::failure::{Failure, Outcome};

/// What goes with every call.
#[derive(Clone)]
pub(crate) struct Credentials {
    bearer: Option<MetadataValue<Ascii>>,
    language: MetadataValue<Ascii>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("bearer", &self.bearer.as_ref().map(|_| "(hidden)"))
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Reads the token from its file, if there is one.
    pub(crate) fn load(file: Option<&Path>, lang: Lang) -> Outcome<Self> {
        let bearer = file.map(|path| {
            let secret = SecretFile::new(path).read().map_err(|e| Failure::Usage(error_chain(&e)))?;
            bearer(&secret)
                .ok_or_else(|| Failure::Usage(format!("{}: there is no token in this file", path.display())))
        });
        let language = match lang {
            Lang::En => MetadataValue::from_static("en"),
            Lang::ZhCn => MetadataValue::from_static("zh-CN"),
        };
        Ok(Self { bearer: bearer.transpose()?, language })
    }
}

/// The first token in a file. The controller's own files work, too: `name:token` lines, comments.
fn bearer(secret: &SecretString) -> Option<MetadataValue<Ascii>> {
    let line =
        secret.expose_secret().lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#'))?;
    let token = line.split_once(':').map_or(line, |(_, token)| token.trim());
    let mut value = MetadataValue::try_from(format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    (!token.is_empty()).then_some(value)
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.bearer {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        request.metadata_mut().insert("accept-language", self.language.clone());
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Option<String> {
        bearer(&SecretString::from(text.to_owned())).map(|v| v.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_first_token_counts_and_the_servers_own_file_works() {
        assert_eq!(token("abcdefgh\n").as_deref(), Some("Bearer abcdefgh"));
        assert_eq!(token("# ops\n\nalice:abcdefgh\nbob:zzz").as_deref(), Some("Bearer abcdefgh"));
        assert_eq!(token("# nothing\n"), None);
        assert_eq!(token("alice:"), None);
        assert_eq!(token("a\u{7f}b"), None);
    }

    #[test]
    fn a_token_is_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "opensesame-opensesame").unwrap();
        let credentials = Credentials::load(Some(file.path()), Lang::En).unwrap();
        assert!(!format!("{credentials:?}").contains("opensesame"));
        assert!(!format!("{:?}", credentials.bearer).contains("opensesame"));
        let missing = Credentials::load(Some(Path::new("/nonexistent/token")), Lang::En).unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/token"), "{missing}");
    }
}
