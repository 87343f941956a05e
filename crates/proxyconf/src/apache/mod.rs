//! Apache.
use crate::{Examined, Include, ParseError, Question, SourceFile};
pub(crate) fn examine(
    _files: &[SourceFile],
    _include: Include<'_>,
    _question: &Question,
) -> Result<Examined, ParseError> {
    Ok(Examined::default())
}
