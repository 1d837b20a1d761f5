package redact

import "bytes"

// prefix is what tokens of one issuer begin with.
type prefix struct {
	text  string
	least int    // bytes behind it
	also  string // what they are beside letters and digits
}

var prefixes = []prefix{
	{"AKIA", 16, ""}, {"ASIA", 16, ""}, {"ABIA", 16, ""}, {"ACCA", 16, ""}, // AWS
	{"ghp_", 20, ""}, {"gho_", 20, ""}, {"ghu_", 20, ""}, {"ghs_", 20, ""}, {"ghr_", 20, ""}, {"github_pat_", 20, "_"},
	{"glpat-", 16, "_-"}, {"glrt-", 16, "_-"}, {"gldt-", 16, "_-"}, // GitLab
	{"xoxb-", 10, "-"}, {"xoxp-", 10, "-"}, {"xoxa-", 10, "-"}, {"xoxr-", 10, "-"}, {"xoxs-", 10, "-"}, {"xapp-", 10, "-"}, // Slack
	{"sk_live_", 16, ""}, {"sk_test_", 16, ""}, {"rk_live_", 16, ""}, {"rk_test_", 16, ""}, {"whsec_", 16, ""}, // Stripe
	{"sk-", 20, "_-"}, {"AIza", 30, "_-"}, {"ya29.", 20, "_-."}, {"GOCSPX-", 20, "_-"}, // OpenAI and its likes, Google
	{"npm_", 20, ""}, {"pypi-", 20, "_-"}, {"dop_v1_", 20, ""}, {"hf_", 20, ""}, {"SG.", 20, "_-."}, {"shpat_", 20, ""},
	{"hvs.", 20, "_-"}, {"hvb.", 20, "_-"}, {"AGE-SECRET-KEY-", 20, ""},
	{"eyJ", 17, "_-."}, // JSON Web Tokens: {" in Base64, and what follows it
}

// byFirst are the prefixes by their first byte.
var byFirst = func() (by [256][]prefix) {
	for _, p := range prefixes {
		by[p.text[0]] = append(by[p.text[0]], p)
	}
	return by
}()

// starts has a bit for each two bytes that a prefix may begin with.
var starts = func() (bits [1 << 16 / 64]uint64) {
	for _, p := range prefixes {
		two := uint(p.text[0])<<8 | uint(p.text[1])
		bits[two/64] |= 1 << (two % 64)
	}
	return bits
}()

// maxHead is how long the first part of a JSON Web Token may be, in bytes.
const maxHead = 4096

// prefixed finds a token by its prefix.
func prefixed(s []byte, from int) (first, last int) {
	const shortest = 20
	for i := from; i+shortest <= len(s); i++ {
		two := uint(s[i])<<8 | uint(s[i+1])
		if starts[two/64]>>(two%64)&1 == 0 || i > 0 && inWord(s[i-1]) && s[i-1] != '_' {
			continue
		}
		for _, p := range byFirst[s[i]] {
			if string(s[i:min(len(s), i+len(p.text))]) != p.text ||
				p.text == "eyJ" && bytes.IndexByte(s[i:min(len(s), i+maxHead)], '.') < 0 {
				continue
			}
			end := i + len(p.text)
			for c := at(s, end); c != 0 && (isLetter(c) || isDigit(c) || bytes.IndexByte([]byte(p.also), c) >= 0); c = at(s, end) {
				end++
			}
			end -= len(s[i:end]) - len(bytes.TrimRight(s[i:end], "."))                                   // of the sentence
			if end-i-len(p.text) >= p.least && (p.text != "eyJ" || bytes.IndexByte(s[i:end], '.') > 0) { // a JWT has dots
				return i, end
			}
		}
	}
	return -1, -1
}
