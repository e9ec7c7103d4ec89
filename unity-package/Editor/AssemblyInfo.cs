// Who may see the internals of Thumbforge.Editor: its part for the Localization package, and its tests.

using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Thumbforge.Editor.Localization")]
[assembly: InternalsVisibleTo("Thumbforge.Editor.Tests")]
