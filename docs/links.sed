# For Doxygen, whose pages lie in one folder: a link to a file of the repository that is no page becomes its text. Images stay.
s/(^|[^!])\[([^]]*)\]\((\.\.\/)*[A-Za-z0-9_][A-Za-z0-9_./-]*\.(h|hpp|c|cpp|cu|cuh|py|sh|json|cmake|txt|svg)(#[a-z0-9-]*)?\)/\1\2/g
s/(^|[^!])\[([^]]*)\]\((\.\.\/)*(bench\/results|tests|examples|python)\/[A-Za-z0-9_./-]*\)/\1\2/g
# Nor does it know the headings of other pages as GitHub names them.
s/\.md#[a-z0-9-]+\)/.md)/g
# It takes `it's` for a quotation that ends at the apostrophe; ``it's`` it does not.
s/(^|[^`])`([^` ][^`]*'[^`]*[^` ])`($|[^`])/\1``\2``\3/g
