package report

// Printable makes untrusted text safe to show on a terminal.
func Printable(text string) string { return printable(text) }
