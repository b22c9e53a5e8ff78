# SPDX-License-Identifier: MIT
# Turn numbered .sql files into a C table:
#	awk -f embed.awk migrate/0001_init.sql migrate/0002_more.sql ...
# Comment lines and empty lines are left out.  The numbers must be 1, 2, 3...
# in this order, because a step runs on what the steps before it left.

function begin_file(    name) {
	name = FILENAME
	sub(/.*\//, "", name)
	if (n_files > 0)
		print "\t},"
	n_files++
	if (substr(name, 1, 4) != sprintf("%04d", n_files)) {
		printf "embed.awk: %s is not number %d\n", FILENAME, n_files \
		    > "/dev/stderr"
		failed = 1
		exit 1
	}
	printf "\t{ %d, \"%s\",\n", n_files, name
}

# The line as the inside of a C string literal, by characters because awks
# disagree about backslashes in gsub.
function escaped(line,    i, c, out) {
	out = ""
	for (i = 1; i <= length(line); i++) {
		c = substr(line, i, 1)
		if (c == "\\" || c == "\"")
			out = out "\\" c
		else if (c == "\t")
			out = out "\\t"
		else
			out = out c
	}
	return out
}

BEGIN {
	print "/* Made by embed.awk from the files of migrate/. */"
	print "#include \"config.h\"\n"
	print "#include \"sql/db.h\"\n"
	print "const struct db_migration db_migrations[] = {"
}

FNR == 1 { begin_file() }
/^[ \t]*(--.*)?$/ { next }
{ printf "\t    \"%s\\n\"\n", escaped($0) }

END {
	if (failed)
		exit 1
	if (n_files > 0)
		print "\t},"
	print "};"
	printf "const int db_n_migrations = %d;\n", n_files
}
