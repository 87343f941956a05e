//! From tokens to an expression, by recursive descent. See the grammar in the module above.

use super::lex::{Placed, Token, lex};
use super::typed::Test;
use super::{Expr, Filter, FilterError, MAX_DEPTH, MAX_TERMS, Schema};

/// Parses a filter for a kind of resource.
///
/// # Errors
/// With the column and what is wrong there.
pub fn parse(filter: &str, schema: &'static Schema) -> Result<Filter, FilterError> {
    let tokens = lex(filter)?;
    if tokens.is_empty() {
        return Ok(Filter::default());
    }
    let end = filter.chars().count() + 1;
    let mut parser = Parser { tokens, at: 0, terms: 0, end, schema };
    let root = parser.expression(0)?;
    match parser.peek() {
        None => Ok(Filter { root: Some(root) }),
        Some(Token::Close) => Err(parser.wrong("this parenthesis closes nothing")),
        Some(_) => Err(parser.wrong("AND or OR is missing before this")),
    }
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    terms: usize,
    /// The column after the last character.
    end: usize,
    schema: &'static Schema,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, t)| t)
    }

    fn column(&self) -> usize {
        self.tokens.get(self.at).map_or(self.end, |(column, _)| *column)
    }

    fn wrong(&self, what: impl Into<String>) -> FilterError {
        FilterError { column: self.column(), what: what.into() }
    }

    /// Takes the next token if it is this keyword.
    fn keyword(&mut self, keyword: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(w)) if w == keyword);
        self.at += usize::from(found);
        found
    }

    fn expression(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let mut all = vec![self.factor(depth)?];
        while self.keyword("AND") {
            all.push(self.factor(depth)?);
        }
        Ok(if all.len() > 1 { Expr::And(all) } else { all.swap_remove(0) })
    }

    fn factor(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let mut any = vec![self.term(depth)?];
        while self.keyword("OR") {
            any.push(self.term(depth)?);
        }
        Ok(if any.len() > 1 { Expr::Or(any) } else { any.swap_remove(0) })
    }

    fn term(&mut self, depth: usize) -> Result<Expr, FilterError> {
        if depth >= MAX_DEPTH {
            return Err(self.wrong(format!("nested more than {MAX_DEPTH} deep")));
        }
        if self.keyword("NOT") {
            return Ok(Expr::Not(Box::new(self.term(depth + 1)?)));
        }
        match self.tokens.get(self.at).cloned() {
            Some((_, Token::Open)) => {
                self.at += 1;
                let inner = self.expression(depth + 1)?;
                if self.peek() != Some(&Token::Close) {
                    return Err(self.wrong("a closing parenthesis is missing here"));
                }
                self.at += 1;
                Ok(inner)
            }
            // A minus is part of the word it stands before, or a word of its own before a parenthesis.
            Some((column, Token::Word(word))) if word.starts_with('-') => {
                match &word[1..] {
                    "" => self.at += 1,
                    rest => self.tokens[self.at] = (column + 1, Token::Word(rest.to_owned())),
                }
                Ok(Expr::Not(Box::new(self.term(depth + 1)?)))
            }
            Some((column, Token::Word(field))) => {
                self.at += 1;
                self.comparison(column, &field)
            }
            Some((_, Token::Text(_))) => Err(self.wrong("a field is needed here, not a text in quotes")),
            Some((_, Token::Op(_) | Token::Close)) | None => {
                Err(self.wrong(format!("a comparison is needed here, such as {}", self.schema.example)))
            }
        }
    }

    fn comparison(&mut self, column: usize, field: &str) -> Result<Expr, FilterError> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(FilterError { column, what: format!("more than {MAX_TERMS} comparisons") });
        }
        if matches!(field, "AND" | "OR") {
            return Err(FilterError { column, what: format!("a comparison is needed before {field}") });
        }
        let (field, key) = self.schema.resolve(field).map_err(|what| FilterError { column, what })?;
        let Some(Token::Op(op)) = self.peek().cloned() else {
            let what = format!("one of = != < <= > >= : is needed after `{}`", field.name);
            return Err(self.wrong(what));
        };
        self.at += 1;
        let (value, in_quotes) = match self.peek().cloned() {
            Some(Token::Word(word)) => (word, false),
            Some(Token::Text(text)) => (text, true),
            _ => return Err(self.wrong(format!("a value is needed after {}", op.sign()))),
        };
        let test = Test::new(field, key, op, &value, in_quotes).map_err(|what| self.wrong(what))?;
        self.at += 1;
        Ok(Expr::Test(test))
    }
}
