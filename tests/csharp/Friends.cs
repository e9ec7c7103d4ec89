// Compiled into the package's assemblies for tests, which look at what is internal.
using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Tests")]
[assembly: InternalsVisibleTo("Bench")]
[assembly: InternalsVisibleTo("WindowMock")]
[assembly: InternalsVisibleTo("Thumbforge.Editor.Localization")]
