// Package times reads times as logs have them: in any of the usual forms, or in one
// that a config describes. What a text does not say, such as its zone or its year,
// follows from a Zone: the local one, and the time when the text was read.
package times
