package tail

// found are histories that the model test failed with, by what was wrong.
var found = map[string][]step{}
