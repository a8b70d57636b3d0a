// Package yaml reads and writes YAML 1.2 as snakeyaml-engine 2.6 does, the library that Flink has bundled since 1.19:
// the same values, the same leniencies, the same exceptions to the letter.
//
// In: the bytes of a document ([Read]). Out: its nodes with their places ([Document]), the Java objects that they
// become ([Build]), and text of such objects as Flink prints them ([Dump], [Quote]). Nothing in it knows Flink's
// configuration.
//
// The reader is our own because no library for Go agrees with that one to the character (YAML 1.2 core schema,
// which texts are numbers, what may begin a plain scalar, which of two errors comes first). It has four layers, each
// a file: reader (code points with places), scanner (tokens), composer (nodes), value (Java objects); writer is the
// way back.
package yaml

// A Document is a YAML document as it was read.
type Document struct {
	Root     *Node  // nil if the document is empty; it may be a null too
	Text     string // decoded, without byte order mark
	Encoding Encoding
	Links    []Link // anchors and aliases, in the order of the text
	Blocks   []int  // where block scalars end, in bytes of the text
	End      int    // where the first "..." begins, in bytes of the text; -1 without one
	Explicit bool   // the document begins with "---"
}

// Options say what a document may cost, and by which rules it is read. A limit of 0 limits nothing.
type Options struct {
	Bytes      int // size of the document
	CodePoints int // how far into the document a token may begin
	Depth      int // collections inside each other
	Aliases    int // aliases of collections
	Aliased    int // nodes that aliases add to the document

	// Strict reads YAML 1.2 with the restrictions that suit a document that people write by hand, and says what is
	// wrong in an author's terms ([Error.Fault]). Without it, every leniency and restriction of snakeyaml-engine holds:
	//
	//	                             snakeyaml-engine               strict
	//	key                          any node, also after "?"       a string on one line, not "<<"
	//	length of a key              1,024 code points              any
	//	key that occurs twice        [Build] refuses it             the caller decides, with the places of both
	//	tag                          any that the schema has        !!str, on scalars
	//	directive                    is checked                     is skipped
	//	name of an anchor            ends at / . * & too            ends at blanks, commas and brackets
	//	alias inside its own node    is a cycle                     is undefined
	//	tab before a token           is refused                     is refused in indentation only
	//	"#" without a blank before   begins a comment               does not
	//	":" in brackets              always ends a key              begins text if no blank follows
	//	"---" in brackets, "---x"    separates documents            is text
	//	"--- key: value"             is refused                     is read
	//	empty line of a block scalar may not be the deepest         may be
	//	half a surrogate pair        is kept                        is refused
	//	characters                   YAML's printable ones          all but control characters
	//	U+0085, U+2028, U+2029       end a line                     are text
	//	encoding                     UTF-8, UTF-16, UTF-32          UTF-8
	//	CR and CR LF                 stay in Document.Text          become LF there
	//	first error                  the first that the scanner     the first in the text; but a bad character
	//	                             or parser meets                is reported before all others
	Strict bool
}

// FlinkOptions are how Flink reads: with the limits of LoadSettings, and Java's stack, which ends somewhere above 1,000
// levels, depending on the thread and the JIT compiler; ours is pinned. (Flink sets no limit to the size in bytes.)
func FlinkOptions() Options {
	return Options{CodePoints: 3 << 20, Depth: MaxDepth, Aliases: 50}
}

// MaxDepth is the depth of [FlinkOptions].
const MaxDepth = 1000

// Read reads the one document that src may hold. The error is an [*Error].
func Read(src []byte, o Options) (d *Document, err error) {
	defer func() {
		if e, ok := err.(*Error); ok && o.Strict {
			e.strictly()
		}
	}()
	defer rescue(&err)
	if o.Bytes > 0 && len(src) > o.Bytes {
		panic(strictError(TooLarge, Mark{}, itoa(o.Bytes>>20)+" MiB"))
	}
	var r *reader
	encoding := utf8Plain
	if o.Strict {
		r = newStrictReader(src)
	} else {
		r, encoding = newReader(src)
	}
	c := &composer{scanner: newScanner(r, o), anchors: map[string]*Node{}, docEnd: -1}
	root := c.document()
	return &Document{Root: root, Text: r.text, Encoding: encoding, Links: c.links, Blocks: c.blocks, End: c.docEnd, Explicit: c.explicit}, nil
}

// Build makes the Java object of a node, as snakeyaml-engine's StandardConstructor with the core schema does. The
// error is an [*Error].
func Build(n *Node) (v *Value, err error) {
	defer rescue(&err)
	return build(n), nil
}

// rescue returns what the layers panic with.
func rescue(err *error) {
	switch p := recover().(type) {
	case nil:
	case *Error:
		*err = p
	default:
		panic(p)
	}
}
