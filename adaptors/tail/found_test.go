package tail

// found are histories of the kind that the model test failed with, by what was
// wrong.
var found = map[string][]step{
	"a copy of what replaced a file was taken for one of the file": {
		{"head", 1, 23}, {"wait", 0, 0}, {"settle", 0, 0}, {"rewrite", 1, 10}, {"copytruncate", 1, 1}, {"write", 1, 3},
	},
	"a file rewritten between its first look and its first read went on under the old identity": {
		{"head", 1, 22}, {"breathe", 0, 1}, {"truncate", 1, 0}, {"write", 1, 13}, {"kill", 0, 0},
	},
	"a file truncated and deleted at once was closed unread": {
		{"head", 1, 15}, {"copytruncate", 1, 3}, {"write", 1, 9}, {"delete", 1, 0}, {"gzip", 0, 0},
	},
	"a resend met a truncation and was told as lost although there was a copy": {
		{"head", 0, 13}, {"wait", 0, 0}, {"copytruncate", 0, 22}, {"write", 0, 22}, {"forget", 0, 0},
	},
	"a smaller file with the same head was taken for a covered copy": {
		{"head", 1, 8}, {"wait", 0, 0}, {"settle", 0, 0}, {"stop", 0, 0}, {"rewrite", 1, 0}, {"rename", 1, 0}, {"head", 1, 0},
		{"rename", 1, 0}, {"start", 0, 0},
	},
	"a file was cut back, and the agent stopped before the fork was stored": {
		{"write", 0, 15}, {"wait", 0, 0}, {"breathe", 0, 1}, {"cut", 0, 18}, {"breathe", 0, 16}, {"stop", 0, 0}, {"write", 0, 20},
	},
	"a file was cut back, copied and emptied while it was being read": {
		{"write", 2, 15}, {"wait", 0, 0}, {"write", 2, 3}, {"cut", 2, 1}, {"copytruncate", 2, 1},
	},
}
