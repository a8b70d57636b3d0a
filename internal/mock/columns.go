package mock

// columnUses is what uses of columns tell about them, by their names alone.
type columnUses struct {
	processing map[string]bool   // those that somewhere are PROCTIME()
	rowtimes   map[string]bool   // that somewhere have a watermark
	casts      map[string]string // text that somewhere is cast: "number" or "date"
	keys       map[string]bool   // by which somewhere rows are grouped or joined
	epochs     map[string]int64  // that somewhere become a time: units per second
}

func newColumnUses() columnUses {
	return columnUses{processing: map[string]bool{}, rowtimes: map[string]bool{}, casts: map[string]string{}, keys: map[string]bool{}, epochs: map[string]int64{}}
}

// columnNames collects what names alone tell about columns.
func (rd *reader) columnNames(s *statement) {
	for i := range s.count {
		switch s.word(i) {
		case "TUMBLE", "HOP", "SESSION", "CUMULATE", "TUMBLE_PROCTIME", "HOP_PROCTIME", "SESSION_PROCTIME":
			rd.windowFunction(s, i)
		case "":
			if s.is(i, "=") {
				rd.joined(s, i)
			}
		case "GROUP", "PARTITION":
			if s.word(i+1) == "BY" {
				rd.groups(s, i+2)
			}
		case "PROCTIME":
			if !s.is(i+1, "(") || !s.is(i+2, ")") {
				continue
			}
			if name, ok := s.name(i - 2); ok && s.word(i-1) == "AS" {
				rd.columns.processing[name] = true
			}
			if name, ok := s.name(i + 4); ok && s.word(i+3) == "AS" {
				rd.columns.processing[name] = true
			}
		case "WATERMARK":
			if parts, _ := s.path(i + 2); s.word(i+1) == "FOR" && parts != nil {
				rd.columns.rowtimes[parts[len(parts)-1]] = true
			}
		case "FROM_UNIXTIME", "TO_TIMESTAMP_LTZ":
			rd.epoch(s, i)
		case "CAST":
			if parts, next := s.path(i + 2); s.is(i+1, "(") && parts != nil && s.word(next) == "AS" {
				switch s.word(next + 1) {
				case "TINYINT", "SMALLINT", "INT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL", "DEC", "NUMERIC":
					rd.columns.casts[parts[len(parts)-1]] = "number"
				case "DATE":
					rd.columns.casts[parts[len(parts)-1]] = "date"
				}
			}
		}
	}
}

// groups collects the columns after GROUP BY and PARTITION BY.
func (rd *reader) groups(s *statement, i int) {
	for {
		parts, next := s.path(i)
		if parts == nil || s.is(next, "(") {
			return
		}
		rd.columns.keys[parts[len(parts)-1]] = true
		if !s.is(next, ",") {
			return
		}
		i = next + 1
	}
}

// joined collects the columns on both sides of an equals sign.
func (rd *reader) joined(s *statement, i int) {
	right, _ := s.path(i + 1)
	left, ok := s.name(i - 1)
	if ok && len(right) > 1 && s.is(i-2, ".") {
		rd.columns.keys[left], rd.columns.keys[right[len(right)-1]] = true, true
	}
}

// epoch reads in which unit a column counts time, from FROM_UNIXTIME(c / 1000), TO_TIMESTAMP_LTZ(c, 3) and the like.
func (rd *reader) epoch(s *statement, i int) {
	perSecond := int64(1)
	if s.word(i) == "TO_TIMESTAMP_LTZ" {
		perSecond = 1000
	}
	at := i + 1
	for s.is(at, "(") || s.is(at+1, "(") { // CAST(c AS BIGINT)
		if s.is(at+1, "(") {
			at++
		}
		at++
	}
	parts, next := s.path(at)
	if parts == nil {
		return
	}
	switch operand := s.textOf(next + 1); {
	case s.is(next, "/") && operand == "1000", s.is(next, ",") && operand == "3":
		perSecond = 1000
	case s.is(next, "/") && operand == "1000000":
		perSecond = 1_000_000
	case s.is(next, "*") && operand == "1000", s.is(next, ",") && operand == "0":
		perSecond = 1
	}
	rd.columns.epochs[parts[len(parts)-1]] = perSecond
}
