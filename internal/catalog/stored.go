package catalog

import (
	"errors"
	"fmt"
	"strings"

	"flink-entrypoint/internal/secret"
	"flink-entrypoint/internal/sqltext"
)

func (in *initializer) catalogs(catalogs []Catalog) {
	seen := map[string]int{"default_catalog": 0}
	for i, c := range catalogs {
		hidden := false
		subject := "catalog " + quoteName(c.Name)
		why := ""
		if !c.CreateStatement.IsEmpty() {
			subject = fmt.Sprintf("catalog %d, its stored statement", i+1)
			if c.Name != "" || len(c.Options) > 0 || c.Comment != "" || c.IfNotExists {
				in.fail(subject, "", "a catalog has either a statement or a name and options")
				continue
			}
			hidden = c.CreateStatement.IsHidden()
			parsed, err := ParseCatalog(c.CreateStatement, in.target)
			if err != nil {
				var e *Error
				if errors.As(err, &e) {
					e.Subject = subject
				}
				in.errs = append(in.errs, err)
				continue
			}
			c = parsed
			if !hidden {
				why = "catalog " + sqltext.Identifier(c.Name) + ", from its stored statement"
				subject += ", " + quoteName(c.Name)
			} else {
				why = fmt.Sprintf("catalog %d, from its stored statement", i+1)
			}
		} else {
			why = "catalog " + sqltext.Identifier(c.Name)
		}
		in.name(subject, c.Name)
		if first, ok := seen[c.Name]; ok && first == 0 {
			in.fail(subject, "choose another name", "Flink has a catalog of this name from the start")
		} else if ok {
			in.fail(subject, "", "it has the same name as catalog %d", first)
		}
		seen[c.Name] = i + 1
		hasType := false
		for _, kv := range c.Options {
			hasType = hasType || kv.Key == "type"
		}
		if !hasType {
			in.fail(subject, "the option type says which catalog it is: hive, jdbc, paimon, iceberg, …", "the option type is missing")
		}
		b := builder{sensitive: in.target.Sensitive}
		b.text("CREATE CATALOG ")
		if c.IfNotExists {
			in.needs(catalogIfNotExists, subject)
			b.text("IF NOT EXISTS ")
		}
		b.text(sqltext.Identifier(c.Name))
		if c.Comment != "" {
			in.needs(catalogComment, subject)
			b.text(" COMMENT ", sqltext.PlainLiteral(c.Comment)) // 2.3 takes no other there
		}
		in.options(subject, &b, c.Options)
		s := b.statement(why)
		if hidden {
			s.SQL = s.SQL.Hide()
			s.Shown = "CREATE CATALOG " + secret.Mask
		}
		in.out = append(in.out, s)
	}
}

// ParseCatalog reads a stored statement, which must be exactly one
//
//	CREATE CATALOG [IF NOT EXISTS] name [COMMENT 'text'] [WITH ('key' = 'value', …)]
//
// with or without a semicolon. A hidden statement gives hidden values. Of a key that is given twice the last value
// counts, as for Flink. The error is an [*Error]; it does not quote the statement.
func ParseCatalog(statement secret.Text, t Target) (Catalog, error) {
	const subject = "stored catalog statement"
	fail := func(err error, hint string) (Catalog, error) {
		return Catalog{}, &Error{Subject: subject, Message: err.Error(), Hint: hint}
	}
	const form = "CREATE CATALOG name WITH ('type' = '…', …)"
	statements, err := sqltext.Split(statement.Reveal(), sqltext.DialectOf(t.Flink))
	if err != nil {
		if e := new(sqltext.Error); errors.As(err, &e) {
			return fail(err, e.Hint)
		}
		return fail(err, "")
	}
	if len(statements) != 1 || statements[0].Kind != sqltext.CreateCatalog {
		found := fmt.Sprintf("%d statements", len(statements))
		if len(statements) == 1 {
			found = statements[0].Kind.String()
		}
		return fail(fmt.Errorf("found %s, expected one CREATE CATALOG", found), form)
	}
	p := parser{hidden: statement.IsHidden()}
	for _, token := range statements[0].Tokens() {
		if token.Kind != sqltext.Whitespace && token.Kind != sqltext.Comment {
			p.tokens = append(p.tokens, token)
		}
	}
	c, err := p.createCatalog()
	if err != nil {
		return fail(err, form)
	}
	return c, nil
}

// parser reads the tokens of one statement.
type parser struct {
	tokens []sqltext.Token
	hidden bool
	at     int
	err    error
}

func (p *parser) createCatalog() (Catalog, error) {
	var c Catalog
	p.expect("CREATE")
	p.expect("CATALOG")
	if len(p.tokens) > 3 && strings.EqualFold(p.tokens[3].Text, "NOT") && p.take("IF") { // else a catalog named if
		p.expect("NOT")
		p.expect("EXISTS")
		c.IfNotExists = true
	}
	c.Name = p.identifier()
	if p.take("COMMENT") {
		c.Comment = p.string()
	}
	if p.take("WITH") {
		p.expect("(")
		index := map[string]int{}
		for p.err == nil && !p.take(")") {
			if len(c.Options) > 0 {
				p.expect(",")
			}
			key := p.string()
			p.expect("=")
			value := secret.Public(p.string())
			if p.hidden {
				value = value.Hide()
			}
			if i, ok := index[key]; ok {
				c.Options[i].Value = value
				continue
			}
			index[key] = len(c.Options)
			c.Options = append(c.Options, KV{key, value})
		}
	}
	if p.err == nil && p.at < len(p.tokens) {
		p.fail("the end")
	}
	return c, p.err
}

func (p *parser) fail(expected string) {
	if p.err != nil {
		return
	}
	if p.at >= len(p.tokens) {
		p.err = fmt.Errorf("at its end: expected %s", expected)
		return
	}
	t := p.tokens[p.at]
	p.err = fmt.Errorf("line %d, column %d: expected %s", t.Line, t.Column, expected)
}

// take moves past a word or symbol if it is there.
func (p *parser) take(text string) bool {
	if p.err != nil || p.at >= len(p.tokens) {
		return false
	}
	t := p.tokens[p.at]
	if t.Kind != sqltext.Word && t.Kind != sqltext.Symbol || !strings.EqualFold(t.Text, text) {
		return false
	}
	p.at++
	return true
}

func (p *parser) expect(text string) {
	if !p.take(text) {
		p.fail(text)
	}
}

func (p *parser) identifier() string {
	if p.err == nil && p.at < len(p.tokens) {
		if t := p.tokens[p.at]; t.Kind == sqltext.Word || t.Kind == sqltext.QuotedIdentifier {
			if s, err := sqltext.Unquote(t.Text); err == nil {
				p.at++
				return s
			}
		}
	}
	p.fail("a name")
	return ""
}

func (p *parser) string() string {
	if p.err == nil {
		s, next, err := sqltext.Literals(p.tokens, p.at)
		switch {
		case err != nil:
			p.err = err
		case next > p.at:
			p.at = next
			return s
		}
	}
	p.fail("a string")
	return ""
}
