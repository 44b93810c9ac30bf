package collector

// countUnreadable counts the elements of an answer that could not be assigned,
// also of one without a single usable element.
func (s *store) countUnreadable(r response, covered coverage) {
	for _, rejection := range r.answer.Rejected {
		s.rejected.add(rejection)
	}
	n := len(r.answer.Unassigned())
	if t := s.readOf(r); t != nil {
		t.unreadable = n
	} else if r.of == "" {
		s.unreadable = n
	}
	for _, t := range s.tenants {
		if r.of == "" && covered.all {
			t.unreadable = 0 // the organization read was a full read of each
		}
	}
	s.answered = true
}

// unusable takes over an answer of which no element could be used.
func (s *store) unusable(r response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.countUnreadable(r, coverage{})
}

// unreadableNow is how many elements of the last answers could not be assigned.
// An organization read and a full read may contain the same ones; in plain mode
// there are no organization reads.
func (s *store) unreadableNow() int {
	n := 0
	for _, t := range s.collected() {
		n += t.unreadable
	}
	if s.cfg.Plain() {
		return n
	}
	return max(n, s.unreadable)
}

// answerNotes say what an answer has changed in how well the API can be read.
func (s *store) answerNotes(r response) (notes []note) {
	now, unassigned := s.unreadableNow(), r.answer.Unassigned()
	switch {
	case len(unassigned) > 0 && !s.unreadableLogged:
		s.unreadableLogged = true
		notes = append(notes, warn("msg", "incidents in the API's answer cannot be read; known incidents that are missing from it stay as they are", "incidents", now, "reason", unassigned[0].Reason))
	case now == 0 && s.unreadableLogged:
		s.unreadableLogged = false
		notes = append(notes, info("msg", "all incidents in the API's answers can be read again"))
	}
	if !s.unordered && !r.answer.NewestFirst() {
		s.unordered = true
		notes = append(notes, warn("msg", "the API's answer is not ordered newest first; the exporter reads it all the same", "tenant_id", r.of))
	}
	return notes
}
