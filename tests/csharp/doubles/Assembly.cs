// Who may drive the doubles: the public names are Unity's, and everything that tests need besides is internal.
using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Tests")]
[assembly: InternalsVisibleTo("Bench")]
[assembly: InternalsVisibleTo("WindowMock")]
