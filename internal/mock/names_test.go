package mock

import "testing"

func TestUserNames(t *testing.T) {
	const in, want = "no `t__mock_sink`, `u__temporary__mock_source`, v__mock_columns, w__temporary", "no `t`, `u`, v, w__temporary"
	if got := UserNames(in); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
