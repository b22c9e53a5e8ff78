# SPDX-License-Identifier: MIT
# The keys of the screen as an mdoc list, from console/tui/keys.def:
#	awk -f man/keys.awk console/tui/keys.def
# bigmodelctl(1) has it between two comments; tests/lint/tables.sh compares.

function named(k) {
	if (k ~ /^K_CTRL/)
		return "^" substr(k, index(k, "'") + 1, 1)
	if (k == "' '")
		return "Space"
	if (k ~ /^'/)
		return substr(k, 2, 1)
	sub(/^K_/, "", k)
	if (k in names)
		return names[k]
	return k ~ /^F[0-9]/ ? k : substr(k, 1, 1) tolower(substr(k, 2))
}

BEGIN {
	names["PAGE_UP"] = "PgUp"
	names["PAGE_DOWN"] = "PgDn"
	names["BACKTAB"] = "S-Tab"
	titles["ON_ALL"] = "Everywhere"
	titles["ON_LIST"] = "In lists"
	titles["ON_OVERVIEW"] = "Overview"
	titles["ON_MODELS"] = "Models"
	titles["ON_WORKERS"] = "Workers"
	titles["ON_REQUESTS"] = "Requests"
	titles["ON_EVENTS"] = "Events"
	titles["ON_CONFIG"] = "Configuration"
	titles["ON_PAGER"] = "In texts"
}

/^ACTION\(/ {
	sym = substr($0, 8, index($0, ",") - 8)
	split($0, q, "\"")
	help[sym] = q[4]
}

/^KEY\(/ {
	context = substr($0, 5, index($0, ",") - 5)
	sym = $NF
	sub(/\)$/, "", sym)
	key = $0
	sub(/^KEY\([A-Z_]*, /, "", key)
	sub(/, [A-Z_0-9]*\)$/, "", key)
	if (!(context in seen)) {
		seen[context] = 1
		order[++n] = context
	}
	id = context SUBSEP sym
	if (!(id in keys))
		syms[context] = syms[context] " " sym
	keys[id] = keys[id] (id in keys && keys[id] != "" ? " , " : "") \
	    "\\&" named(key)
}

END {
	for (i = 1; i <= n; i++) {
		print ".Ss " titles[order[i]]
		print ".Bl -tag -width \"PgDn, ^F\" -compact"
		m = split(syms[order[i]], s, " ")
		for (j = 1; j <= m; j++) {
			print ".It Ic " keys[order[i] SUBSEP s[j]]
			print help[s[j]]
		}
		print ".El"
	}
}
