package parse

import (
	"slices"
)

// definitions are all parsers, in the order in which people are shown them.
// A new one is a file with its definition, a golden pair in testdata, and its
// line here.
func definitions() []definition {
	return slices.Concat([]definition{
		rawParser,
		jsonParser,
		logfmtParser,
		dissectParser,
		regexParser,
		grokParser,
		csvParser,
		tsvParser,
		ssvParser,
		psvParser,
		kvParser,
		klogParser,
		syslogParser,
		log4jParser,
		combinedParser,
		criParser,
		composeParser,
		stampedParser,
		journaldParser,
		prometheusParser,
		dfParser,
		columnsParser,
		topParser,
		psParser,
		iostatParser,
		vmstatParser,
		sarParser,
		netstatParser,
		ssParser,
		lsofParser,
		albParser,
		elbParser,
		s3Parser,
		cloudfrontParser,
		vpcflowParser,
		w3cParser,
		elfParser,
		iisParser,
		squidParser,
		haproxyParser,
		envoyParser,
		uwsgiParser,
		ginParser,
		werkzeugParser,
		xferlogParser,
		railsParser,
		morganParser,
		postgresParser,
		mysqlParser,
		gcParser,
		auditdParser,
		cefParser,
		leefParser,
		hdfsAuditParser,
		yarnAuditParser,
		metrics2Parser,
		redisParser,
		db2Parser,
		dmesgParser,
		logcatParser,
		oslogParser,
		zeekParser,
		suricataParser,
		mongodbParser,
	}, metricsParsers(), []definition{
		autoParser,
	})
}

// definition is what is known of a parser before it is made.
type definition struct {
	name string
	// doc says in a line for people what the parser reads.
	doc string
	// options makes the struct, by pointer, that a config's keys fill; nil where
	// the parser has none.
	options func() any
	// make makes the format by its options. It fails where they don't fit each other.
	make func(options any) (format, error)
	// frames is set for parsers whose records have messages for another one:
	// their formats are framers.
	frames bool
	// example is a spec with the options that must be given; empty where none must.
	example string
	// outermost is set for parsers that read whole records alone, and inner for
	// those that read messages alone.
	outermost, inner bool
	clue             clue
}

// simple defines a parser without options.
func simple(name, doc string, build func() format) definition {
	_, frames := build().(framer)
	return definition{name: name, doc: doc, frames: frames, make: func(any) (format, error) { return build(), nil }}
}

// define defines a parser with options.
func define[O any](name, doc string, defaults func() O, build func(*O) (format, error)) definition {
	return definition{
		name: name, doc: doc,
		options: func() any { o := defaults(); return &o },
		make:    func(options any) (format, error) { return build(options.(*O)) },
	}
}

// example marks a parser with options that must be given.
func example(d definition, spec string) definition {
	d.example = spec
	return d
}

// outermost marks a parser that reads whole records alone.
func outermost(d definition) definition {
	d.outermost = true
	return d
}

// inner marks a parser that reads messages alone.
func inner(d definition) definition {
	d.inner = true
	return d
}

func lookup(name string) (definition, bool) {
	all := definitions()
	i := slices.IndexFunc(all, func(d definition) bool { return d.name == name })
	if i < 0 {
		return definition{}, false
	}
	return all[i], true
}

func names(which func(definition) bool) []string {
	var out []string
	for _, d := range definitions() {
		if which(d) {
			out = append(out, d.name)
		}
	}
	slices.Sort(out)
	return out
}

// Names returns the names of all parsers of records, sorted.
func Names() []string { return names(func(d definition) bool { return !d.inner }) }

// FramingNames returns the names of the parsers whose records have messages for
// another one, sorted.
func FramingNames() []string { return names(func(d definition) bool { return d.frames }) }

// MessageNames returns the names of the parsers that read messages, sorted.
func MessageNames() []string { return names(func(d definition) bool { return !d.outermost }) }

// Doc is what people are told of a parser.
type Doc struct {
	Name, Doc string
	// Options is a pointer to the struct of its options with their defaults, whose
	// tags are config's; nil where it has none.
	Options any
	// Frames says that it takes message.
	Frames bool
	// Example is a spec with the options that must be given; empty where none must.
	Example string
}

// Docs returns what people are told of each parser of records, in the order in
// which to show them.
func Docs() []Doc {
	var out []Doc
	for _, d := range definitions() {
		if d.inner {
			continue
		}
		doc := Doc{Name: d.name, Doc: d.doc, Frames: d.frames, Example: d.example}
		if d.options != nil {
			doc.Options = d.options()
		}
		out = append(out, doc)
	}
	return out
}
