# For Doxygen: formulas as GitHub has them, $...$ within a line and $$...$$ around lines, to its own marks.
s/^\$\$/\\f[/
s/\$\$$/\\f]/
s/\$([^$]+)\$/\\f$\1\\f$/g
